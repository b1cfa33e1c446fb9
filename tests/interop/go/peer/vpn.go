// SPDX-License-Identifier: MIT OR Apache-2.0

package main

// /vpn/1.0.0 is one direction per stream, opened by the sender. So a reply never goes back on the stream that the
// request came in on: each remote peer has one outbound stream of ours, opened on demand and again when it died.

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

const (
	vpnProtocol protocol.ID = "/vpn/1.0.0"
	queueLen                = 1024 // packets to one peer; beyond it they are dropped, as a network card would
	timeout                 = 10 * time.Second
	reportEvery             = 200 * time.Millisecond // so that a flood doesn't become a flood of lines
)

type counts struct {
	streamsIn, streamsOut, packetsIn, packetsOut, bytesIn, bytesOut atomic.Uint64
	echoRequests, echoReplies, udpEchoes, otherPackets              atomic.Uint64
	badPackets, badFrames, drops                                    atomic.Uint64
}

func (c *counts) fields() fields {
	return fields{
		"streams_in": c.streamsIn.Load(), "streams_out": c.streamsOut.Load(),
		"packets_in": c.packetsIn.Load(), "packets_out": c.packetsOut.Load(),
		"bytes_in": c.bytesIn.Load(), "bytes_out": c.bytesOut.Load(),
		"echo_requests": c.echoRequests.Load(), "echo_replies": c.echoReplies.Load(),
		"udp_echoes": c.udpEchoes.Load(), "other_packets": c.otherPackets.Load(),
		"bad_packets": c.badPackets.Load(), "bad_frames": c.badFrames.Load(), "drops": c.drops.Load(),
	}
}

type vpn struct {
	host  host.Host
	ips   []netip.Addr
	mtu   uint32
	tun   *os.File // nil without -tun
	count counts

	reporting atomic.Bool
	mu        sync.Mutex
	writers   map[peer.ID]chan []byte
}

func newVPN(h host.Host, ips []netip.Addr, mtu uint32, tun *os.File) *vpn {
	v := &vpn{host: h, ips: ips, mtu: mtu, tun: tun, writers: map[peer.ID]chan []byte{}}
	h.SetStreamHandler(vpnProtocol, v.onStream)
	return v
}

func (v *vpn) report() {
	if v.reporting.CompareAndSwap(false, true) {
		time.AfterFunc(reportEvery, func() {
			v.reporting.Store(false)
			emit("packet", v.count.fields())
		})
	}
}

func (v *vpn) onStream(s network.Stream) {
	v.count.streamsIn.Add(1)
	r := bufio.NewReaderSize(s, 64<<10)
	for {
		packet, err := readFrame(r, v.mtu)
		switch {
		case errors.Is(err, io.EOF):
			s.Close()
			return
		case err != nil:
			if errors.Is(err, errBadFrame) || errors.Is(err, io.ErrUnexpectedEOF) {
				v.count.badFrames.Add(1)
				v.report()
			}
			s.Reset()
			return
		}
		v.onPacket(s.Conn().RemotePeer(), packet)
	}
}

func (v *vpn) onPacket(from peer.ID, packet []byte) {
	v.count.packetsIn.Add(1)
	v.count.bytesIn.Add(uint64(len(packet)))
	v.report()
	p, ok := parse(packet)
	if !ok || !p.checksumIsRight() {
		v.count.badPackets.Add(1)
		return
	}
	k := kindOther
	if v.isOurs(p.dst) {
		k = p.kind()
	}
	switch k {
	case kindEchoRequest:
		v.count.echoRequests.Add(1)
		v.send(from, p.echoReply())
	case kindUDPEcho:
		v.count.udpEchoes.Add(1)
		v.send(from, p.udpReply())
	case kindEchoReply:
		v.count.echoReplies.Add(1)
		emit("reply", fields{"peer": from.String(), "hex": hex.EncodeToString(packet)})
	default:
		v.count.otherPackets.Add(1)
		if v.tun != nil {
			if _, err := v.tun.Write(packet); err != nil {
				v.count.drops.Add(1)
			}
		}
	}
}

func (v *vpn) isOurs(a netip.Addr) bool {
	for _, own := range v.ips {
		if own == a {
			return true
		}
	}
	return false
}

// send queues a packet; each peer has a writer of its own, so that a slow one holds up nobody else.
func (v *vpn) send(to peer.ID, packet []byte) {
	v.mu.Lock()
	queue := v.writers[to]
	if queue == nil {
		queue = make(chan []byte, queueLen)
		v.writers[to] = queue
		go v.write(to, queue)
	}
	v.mu.Unlock()
	select {
	case queue <- packet:
	default:
		v.count.drops.Add(1)
	}
}

func (v *vpn) write(to peer.ID, queue <-chan []byte) {
	var s network.Stream
	dead := make(chan struct{})
	for packet := range queue {
		sent := false
		for attempt := 0; attempt < 2 && !sent; attempt++ {
			select {
			case <-dead:
				s = nil
			default:
			}
			if s == nil {
				var err error
				if s, err = v.open(to); err != nil {
					s = nil
					break
				}
				dead = make(chan struct{})
				go watch(s, dead)
			}
			s.SetWriteDeadline(time.Now().Add(timeout))
			if _, err := s.Write(frame(packet)); err != nil {
				s.Reset()
				s = nil // it died under us: once more on a fresh one
				continue
			}
			sent = true
		}
		if !sent {
			v.count.drops.Add(1)
			continue
		}
		v.count.packetsOut.Add(1)
		v.count.bytesOut.Add(uint64(len(packet)))
	}
}

// watch tells when the far end has reset a stream that we only write to. Its orderly close of the way back says
// nothing: that way is not used.
func watch(s network.Stream, dead chan<- struct{}) {
	if _, err := io.Copy(io.Discard, s); err != nil {
		close(dead)
	}
}

func (v *vpn) open(to peer.ID) (network.Stream, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	s, err := v.host.NewStream(ctx, to, vpnProtocol)
	if err == nil {
		v.count.streamsOut.Add(1)
	}
	return s, err
}

// sendRaw puts any bytes on a fresh stream, in pieces of chunk bytes, and then says how the far end took it.
func (v *vpn) sendRaw(to peer.ID, raw []byte, chunk int, end string, tag any) error {
	s, err := v.open(to)
	if err != nil {
		return err
	}
	total := len(raw)
	if chunk <= 0 {
		chunk = max(total, 1)
	}
	for len(raw) > 0 {
		n := min(chunk, len(raw))
		if _, err := s.Write(raw[:n]); err != nil {
			s.Reset()
			return err
		}
		raw = raw[n:]
	}
	emit("sent", fields{"peer": to.String(), "tag": tag, "bytes": total})
	switch end {
	case "", "fin":
		s.CloseWrite()
	case "reset":
		s.Reset()
	}
	go func() {
		how := "eof"
		if _, err := io.Copy(io.Discard, s); err != nil {
			how = "reset"
		}
		emit("stream-closed", fields{"peer": to.String(), "tag": tag, "how": how})
	}()
	return nil
}
