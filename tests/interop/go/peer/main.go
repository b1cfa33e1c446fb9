// SPDX-License-Identifier: MIT OR Apache-2.0

// A go-libp2p node that plays one member of the VPN: it speaks /vpn/1.0.0 over TCP, Noise and yamux, and answers ICMP
// echo and UDP echo (port 7) for its addresses. Commands come in on stdin, events go out on stdout, one JSON object a
// line; ../../README.md lists them. The js peer takes the same options and speaks the same lines.
package main

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/protocol/identify"
	"github.com/libp2p/go-libp2p/p2p/protocol/identify/pb"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/libp2p/go-msgio/pbio"
	ma "github.com/multiformats/go-multiaddr"
)

const (
	redialEvery      = 500 * time.Millisecond
	lineMax          = 16 << 20 // bytes of one command: a megabyte of hex is still a fair test
	identifyMessages = 10       // parts of one identify answer, as go and js read them
	identifyMax      = 8 << 10  // bytes of one part
)

type fields map[string]any

var (
	outMu sync.Mutex
	out   = json.NewEncoder(os.Stdout)
)

func emit(name string, f fields) {
	line := fields{"event": name}
	for k, v := range f {
		line[k] = v
	}
	outMu.Lock()
	defer outMu.Unlock()
	out.Encode(line)
}

type list []string

func (l *list) String() string     { return strings.Join(*l, " ") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

type command struct {
	Cmd   string `json:"cmd"`
	Peer  string `json:"peer"`
	Addr  string `json:"addr"`
	Hex   string `json:"hex"`
	Close string `json:"close"`
	Count int    `json:"count"`
	Chunk int    `json:"chunk"`
	Tag   any    `json:"tag"`
}

type node struct {
	host host.Host
	vpn  *vpn
}

func privateKey(file string, seed uint64) (crypto.PrivKey, error) {
	if file != "" {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		return crypto.UnmarshalPrivateKey(b)
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "runnel interop key %d", seed))
	return crypto.UnmarshalEd25519PrivateKey(ed25519.NewKeyFromSeed(sum[:]))
}

func (n *node) watch() error {
	sub, err := n.host.EventBus().Subscribe(new(event.EvtPeerIdentificationCompleted), eventbus.BufSize(256))
	if err != nil {
		return err
	}
	go func() {
		for e := range sub.Out() {
			id := e.(event.EvtPeerIdentificationCompleted)
			emitIdentified(id.Peer, id.AgentVersion, id.Protocols, id.ObservedAddr, id.ListenAddrs)
		}
	}()
	n.host.Network().Notify(&network.NotifyBundle{
		ConnectedF: func(_ network.Network, c network.Conn) {
			direction := map[bool]string{true: "inbound", false: "outbound"}[c.Stat().Direction == network.DirInbound]
			emit("connected", fields{"peer": c.RemotePeer().String(), "addr": c.RemoteMultiaddr().String(),
				"direction": direction})
		},
		DisconnectedF: func(nw network.Network, c network.Conn) {
			emit("disconnected", fields{"peer": c.RemotePeer().String(), "left": len(nw.ConnsToPeer(c.RemotePeer()))})
		},
	})
	return nil
}

func emitIdentified[T ~string](p peer.ID, agent string, protocols []T, observed ma.Multiaddr, addrs []ma.Multiaddr) {
	f := fields{"peer": p.String(), "agent": agent, "protocols": protocols}
	if observed != nil {
		f["observed"] = observed.String()
	}
	texts := []string{}
	for _, a := range addrs {
		texts = append(texts, a.String())
	}
	f["addrs"] = texts
	emit("identified", f)
}

// identify asks again on a stream of its own; the host's service keeps what it learnt on the first one.
func (n *node) identify(ctx context.Context, p peer.ID) error {
	s, err := n.host.NewStream(network.WithNoDial(ctx, "identify"), p, identify.ID)
	if err != nil {
		return err
	}
	defer s.Close()
	s.SetDeadline(time.Now().Add(timeout))
	r := pbio.NewDelimitedReader(s, identifyMax)
	var all pb.Identify
	for i := 0; i < identifyMessages; i++ {
		var part pb.Identify
		err := r.ReadMsg(&part)
		if errors.Is(err, io.EOF) && i > 0 {
			break
		}
		if err != nil {
			s.Reset()
			return err
		}
		mergeIdentify(&all, &part)
	}
	key, err := crypto.UnmarshalPublicKey(all.PublicKey)
	if err != nil {
		return err
	}
	if !p.MatchesPublicKey(key) {
		return errors.New("the public key is another peer's")
	}
	addrs := []ma.Multiaddr{}
	for _, b := range all.ListenAddrs {
		if a, err := ma.NewMultiaddrBytes(b); err == nil {
			addrs = append(addrs, a)
		}
	}
	var observed ma.Multiaddr
	if a, err := ma.NewMultiaddrBytes(all.ObservedAddr); err == nil {
		observed = a
	}
	emitIdentified(p, all.GetAgentVersion(), all.Protocols, observed, addrs)
	return nil
}

func mergeIdentify(all, part *pb.Identify) {
	if part.PublicKey != nil {
		all.PublicKey = part.PublicKey
	}
	if part.ObservedAddr != nil {
		all.ObservedAddr = part.ObservedAddr
	}
	if part.AgentVersion != nil {
		all.AgentVersion = part.AgentVersion
	}
	all.Protocols = append(all.Protocols, part.Protocols...)
	all.ListenAddrs = append(all.ListenAddrs, part.ListenAddrs...)
}

func (n *node) ping(ctx context.Context, p peer.ID, count int) error {
	results := ping.Ping(network.WithNoDial(ctx, "ping"), n.host, p)
	for i := 0; i < max(count, 1); i++ {
		select {
		case r, ok := <-results:
			if !ok {
				return ctx.Err()
			}
			if r.Error != nil {
				return r.Error
			}
			emit("ping", fields{"peer": p.String(), "rtt_ms": float64(r.RTT) / float64(time.Millisecond)})
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (n *node) dial(ctx context.Context, addr string) error {
	info, err := peer.AddrInfoFromString(addr)
	if err != nil {
		return err
	}
	// The dialer remembers a failure for longer and longer; a test wants the next try to be a try.
	n.host.Network().(*swarm.Swarm).Backoff().Clear(info.ID)
	return n.host.Connect(ctx, *info)
}

func (n *node) redial(addr string) {
	for {
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		if err := n.dial(ctx, addr); err != nil {
			emit("dial-failed", fields{"addr": addr, "error": err.Error()})
		}
		cancel()
		time.Sleep(redialEvery)
	}
}

func (n *node) run(c command) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if c.Cmd == "stats" {
		emit("stats", n.vpn.count.fields())
		return nil
	}
	if c.Cmd == "dial" {
		return n.dial(ctx, c.Addr)
	}
	p, err := peer.Decode(c.Peer)
	if err != nil {
		return err
	}
	switch c.Cmd {
	case "ping":
		return n.ping(ctx, p, c.Count)
	case "identify":
		return n.identify(ctx, p)
	case "disconnect":
		return n.host.Network().ClosePeer(p)
	case "send":
		raw, err := hex.DecodeString(c.Hex)
		if err != nil {
			return err
		}
		return n.vpn.sendRaw(p, raw, c.Chunk, c.Close, c.Tag)
	}
	return errors.New("no such command")
}

// serve runs commands side by side until stdin closes or one says quit.
func (n *node) serve(in io.Reader) {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, lineMax)
	for lines.Scan() {
		var c command
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			emit("error", fields{"error": err.Error()})
			continue
		}
		if c.Cmd == "quit" {
			break
		}
		go func() {
			if err := n.run(c); err != nil {
				emit("error", fields{"cmd": c.Cmd, "tag": c.Tag, "error": err.Error()})
			}
		}()
	}
	emit("stats", n.vpn.count.fields())
}

func start() (*node, string, error) {
	var listen, ips, routeTexts list
	flag.Var(&listen, "listen", "`multiaddr` to listen on; repeatable")
	flag.Var(&ips, "ip", "`address` to answer for, IPv4 or IPv6; repeatable")
	seed := flag.Uint64("key-seed", 0, "`number` that the key is derived from")
	keyFile := flag.String("key", "", "`file` with a libp2p private key (protobuf), instead of -key-seed")
	dial := flag.String("dial", "", "`multiaddr` with /p2p/ID to keep a connection to")
	tunName := flag.String("tun", "", "`device` for the packets that are not for an -ip")
	flag.Var(&routeTexts, "route", "`PREFIX=ID`: the peer that packets from -tun go to; repeatable")
	mtu := flag.Uint("mtu", 1400, "largest packet, in bytes")
	flag.Parse()

	key, err := privateKey(*keyFile, *seed)
	if err != nil {
		return nil, "", err
	}
	own := []netip.Addr{}
	for _, text := range ips {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return nil, "", err
		}
		own = append(own, a)
	}
	routes, err := parseRoutes(routeTexts)
	if err != nil {
		return nil, "", err
	}
	var tun *os.File
	if *tunName != "" {
		if tun, err = openTUN(*tunName); err != nil {
			return nil, "", err
		}
	}
	options := []libp2p.Option{
		libp2p.Identity(key), libp2p.UserAgent("runnel-interop-go"), libp2p.DisableMetrics(), libp2p.DisableRelay(),
		libp2p.NoTransports, libp2p.Transport(tcp.NewTCPTransport),
		libp2p.Security(noise.ID, noise.New), libp2p.Muxer(yamux.ID, yamux.DefaultTransport),
	}
	if len(listen) == 0 {
		options = append(options, libp2p.NoListenAddrs)
	} else {
		options = append(options, libp2p.ListenAddrStrings(listen...))
	}
	h, err := libp2p.New(options...)
	if err != nil {
		return nil, "", err
	}
	n := &node{host: h, vpn: newVPN(h, own, uint32(*mtu), tun)}
	if tun != nil {
		go n.vpn.serveTUN(routes)
	}
	return n, *dial, n.watch()
}

func main() {
	n, dial, err := start()
	if err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
	addrs := []string{}
	for _, a := range n.host.Network().ListenAddresses() {
		addrs = append(addrs, a.String()+"/p2p/"+n.host.ID().String())
	}
	emit("listening", fields{"peer_id": n.host.ID().String(), "addrs": addrs})
	if dial != "" {
		go n.redial(dial)
	}
	n.serve(os.Stdin)
	n.host.Close()
}
