// SPDX-License-Identifier: MIT OR Apache-2.0

package main

// What a small IP host has to know: frames of /vpn/1.0.0, checksums, ICMP echo and UDP echo.
//
// Written from RFC 791, 792, 768, 1071, 4443 and 8200, and on purpose not shared with any other implementation here:
// two that agree by accident would prove less.

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
)

const (
	protoICMP   = 1
	protoTCP    = 6
	protoUDP    = 17
	protoICMP6  = 58
	udpPortEcho = 7
)

type kind int

const (
	kindOther kind = iota
	kindEchoRequest
	kindEchoReply
	kindUDPEcho
)

var errBadFrame = errors.New("frame of a length that no packet has")

// readFrame returns the next packet of a stream; chunk borders mean nothing. io.EOF only between frames.
func readFrame(r io.Reader, max uint32) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	length := binary.BigEndian.Uint32(head[:])
	if length == 0 || length > max {
		return nil, fmt.Errorf("%w: %d", errBadFrame, length)
	}
	packet := make([]byte, length)
	if _, err := io.ReadFull(r, packet); err == io.EOF {
		return nil, io.ErrUnexpectedEOF
	} else if err != nil {
		return nil, err
	}
	return packet, nil
}

func frame(packet []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(packet))), packet...)
}

// ip is a view of one whole, unfragmented packet. Extension headers of IPv6 are left alone: proto is then theirs, and
// nothing here answers it.
type ip struct {
	v6       bool
	src, dst netip.Addr
	proto    byte
	header   []byte
	body     []byte
}

func parse(b []byte) (ip, bool) {
	switch {
	case len(b) >= 20 && b[0]>>4 == 4:
		n := int(b[0]&15) * 4
		if n < 20 || n > len(b) || int(binary.BigEndian.Uint16(b[2:])) != len(b) {
			return ip{}, false
		}
		fragment := binary.BigEndian.Uint16(b[6:])&0x3fff != 0
		if fragment || checksum(b[:n]) != 0 {
			return ip{}, false
		}
		return ip{src: netip.AddrFrom4([4]byte(b[12:16])), dst: netip.AddrFrom4([4]byte(b[16:20])),
			proto: b[9], header: b[:n], body: b[n:]}, true
	case len(b) >= 40 && b[0]>>4 == 6 && int(binary.BigEndian.Uint16(b[4:]))+40 == len(b):
		return ip{v6: true, src: netip.AddrFrom16([16]byte(b[8:24])), dst: netip.AddrFrom16([16]byte(b[24:40])),
			proto: b[6], header: b[:40], body: b[40:]}, true
	}
	return ip{}, false
}

// checksum is RFC 1071's over several pieces, of which only the last may be of odd length.
func checksum(pieces ...[]byte) uint16 {
	var sum uint32
	for _, p := range pieces {
		for ; len(p) >= 2; p = p[2:] {
			sum += uint32(binary.BigEndian.Uint16(p))
		}
		if len(p) == 1 {
			sum += uint32(p[0]) << 8
		}
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

func (p ip) pseudoHeader() []byte {
	b := append(p.src.AsSlice(), p.dst.AsSlice()...)
	if p.v6 {
		b = binary.BigEndian.AppendUint32(b, uint32(len(p.body)))
		return append(b, 0, 0, 0, p.proto)
	}
	b = append(b, 0, p.proto)
	return binary.BigEndian.AppendUint16(b, uint16(len(p.body)))
}

// checksumIsRight finds out a sender that leaves checksums to the (absent) network card.
func (p ip) checksumIsRight() bool {
	switch p.proto {
	case protoICMP:
		return len(p.body) >= 8 && checksum(p.body) == 0
	case protoUDP:
		if len(p.body) < 8 {
			return false
		}
		none := !p.v6 && p.body[6] == 0 && p.body[7] == 0
		return none || checksum(p.pseudoHeader(), p.body) == 0
	case protoTCP:
		return len(p.body) >= 20 && checksum(p.pseudoHeader(), p.body) == 0
	case protoICMP6:
		return len(p.body) >= 8 && checksum(p.pseudoHeader(), p.body) == 0
	}
	return true
}

func (p ip) kind() kind {
	icmp, request, reply := byte(protoICMP), byte(8), byte(0)
	if p.v6 {
		icmp, request, reply = protoICMP6, 128, 129
	}
	switch {
	case p.proto == icmp && p.body[0] == request:
		return kindEchoRequest
	case p.proto == icmp && p.body[0] == reply:
		return kindEchoReply
	case p.proto == protoUDP && binary.BigEndian.Uint16(p.body[2:]) == udpPortEcho:
		return kindUDPEcho
	}
	return kindOther
}

// turnRound returns the same packet on its way back: addresses swapped, a fresh hop limit, the IP checksum right.
func (p ip) turnRound() (packet []byte, back ip) {
	packet = append(append([]byte(nil), p.header...), p.body...)
	if p.v6 {
		packet[7] = 64
		copy(packet[8:], p.dst.AsSlice())
		copy(packet[24:], p.src.AsSlice())
	} else {
		packet[8] = 64
		copy(packet[12:], p.dst.AsSlice())
		copy(packet[16:], p.src.AsSlice())
		binary.BigEndian.PutUint16(packet[10:], 0)
		binary.BigEndian.PutUint16(packet[10:], checksum(packet[:len(p.header)]))
	}
	n := len(p.header)
	return packet, ip{v6: p.v6, src: p.dst, dst: p.src, proto: p.proto, header: packet[:n], body: packet[n:]}
}

func (p ip) echoReply() []byte {
	packet, back := p.turnRound()
	back.body[0] = 0
	if p.v6 {
		back.body[0] = 129
	}
	binary.BigEndian.PutUint16(back.body[2:], 0)
	sum := checksum(back.body)
	if p.v6 {
		sum = checksum(back.pseudoHeader(), back.body)
	}
	binary.BigEndian.PutUint16(back.body[2:], sum)
	return packet
}

// udpReply: swapping addresses and ports leaves a one's complement sum as it was.
func (p ip) udpReply() []byte {
	packet, back := p.turnRound()
	copy(back.body[0:2], p.body[2:4])
	copy(back.body[2:4], p.body[0:2])
	return packet
}
