// SPDX-License-Identifier: MIT OR Apache-2.0

package main

// With -tun the peer is a whole node: what it doesn't answer itself goes to a kernel, and what that kernel sends goes
// to the peer that a -route names. So a TCP connection of a real kernel can run through a foreign stack.

import (
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sys/unix"
)

type route struct {
	prefix netip.Prefix
	via    peer.ID
}

func parseRoutes(texts []string) ([]route, error) {
	routes := []route{}
	for _, text := range texts {
		prefix, id, _ := strings.Cut(text, "=")
		p, err := netip.ParsePrefix(prefix)
		if err != nil {
			return nil, err
		}
		via, err := peer.Decode(id)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", text, err)
		}
		routes = append(routes, route{p, via})
	}
	return routes, nil
}

// openTUN takes a device that exists and is set up; making one is the caller's business.
func openTUN(name string) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	request, err := unix.NewIfreq(name)
	if err == nil {
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

func (v *vpn) serveTUN(routes []route) {
	buf := make([]byte, 64<<10)
	for {
		n, err := v.tun.Read(buf)
		if err != nil {
			emit("error", fields{"cmd": "tun", "error": err.Error()})
			return
		}
		if p, ok := parse(buf[:n]); ok {
			for _, r := range routes {
				if r.prefix.Contains(p.dst) {
					v.send(r.via, append([]byte(nil), buf[:n]...))
					break
				}
			}
		}
	}
}
