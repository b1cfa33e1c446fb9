// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * What a small IP host has to know: frames of /vpn/1.0.0, checksums, ICMP echo and UDP echo.
 *
 * Pure functions and one small class: bytes in, bytes out. Written from RFC 791, 792, 768, 1071, 4443 and 8200, and
 * on purpose not shared with any other implementation here: two that agree by accident would prove less.
 */

const PROTO_ICMP = 1
const PROTO_TCP = 6
const PROTO_UDP = 17
const PROTO_ICMP6 = 58
const UDP_PORT_ECHO = 7

/* Splits a byte stream into frames: 4-byte big-endian length, then that many bytes. Chunk borders mean nothing. */
export class Deframer {
  constructor (maxLength) {
    this.maxLength = maxLength
    this.rest = new Uint8Array(0)
  }

  /* Yields the frames that are complete now; throws, behind the good ones, on a length that no packet can have. */
  * feed (chunk) {
    let buf = chunk
    if (this.rest.length > 0) {
      buf = new Uint8Array(this.rest.length + chunk.length)
      buf.set(this.rest)
      buf.set(chunk, this.rest.length)
    }
    const view = new DataView(buf.buffer, buf.byteOffset, buf.length)
    let at = 0
    while (buf.length - at >= 4) {
      const length = view.getUint32(at)
      if (length === 0 || length > this.maxLength) {
        throw new RangeError(`frame of ${length} bytes`)
      }
      if (buf.length - at - 4 < length) {
        break
      }
      yield buf.slice(at + 4, at + 4 + length)
      at += 4 + length
    }
    this.rest = buf.slice(at)
  }
}

export function frame (packet) {
  const out = new Uint8Array(4 + packet.length)
  new DataView(out.buffer).setUint32(0, packet.length)
  out.set(packet, 4)
  return out
}

/* The one's complement sum of RFC 1071 over several pieces; only the last may be of odd length. */
function checksum (...pieces) {
  let sum = 0
  for (const p of pieces) {
    for (let i = 0; i < p.length; i += 2) {
      sum += (p[i] << 8) | (i + 1 < p.length ? p[i + 1] : 0)
    }
  }
  while (sum > 0xffff) {
    sum = (sum & 0xffff) + (sum >>> 16)
  }
  return ~sum & 0xffff
}

function pseudoHeader (ip) {
  const tail = ip.version === 4
    ? [0, ip.proto, ip.body.length >> 8, ip.body.length & 0xff]
    : [0, 0, ip.body.length >> 8, ip.body.length & 0xff, 0, 0, 0, ip.proto]
  return Uint8Array.from([...ip.src, ...ip.dst, ...tail])
}

/*
 * Returns {version, src, dst, proto, header, body} or null for what is not one whole, unfragmented IP packet.
 * IPv6 extension headers are left alone: proto is then theirs, and nothing here answers it.
 */
export function parse (pkt) {
  const u16 = (at) => (pkt[at] << 8) | pkt[at + 1]
  if (pkt.length >= 20 && pkt[0] >> 4 === 4) {
    const headerLength = (pkt[0] & 15) * 4
    if (headerLength < 20 || u16(2) !== pkt.length || headerLength > pkt.length) {
      return null
    }
    const header = pkt.subarray(0, headerLength)
    if (checksum(header) !== 0 || (u16(6) & 0x3fff) !== 0) {
      return null
    }
    return { version: 4, header, src: pkt.subarray(12, 16), dst: pkt.subarray(16, 20), proto: pkt[9], body: pkt.subarray(headerLength) }
  }
  if (pkt.length >= 40 && pkt[0] >> 4 === 6 && u16(4) + 40 === pkt.length) {
    return { version: 6, header: pkt.subarray(0, 40), src: pkt.subarray(8, 24), dst: pkt.subarray(24, 40), proto: pkt[6], body: pkt.subarray(40) }
  }
  return null
}

/* A sender that leaves checksums to the (absent) network card is found out here. */
export function checksumIsRight (ip) {
  switch (ip.proto) {
    case PROTO_ICMP:
      return ip.body.length >= 8 && checksum(ip.body) === 0
    case PROTO_UDP:
      if (ip.version === 4 && ip.body.length >= 8 && ip.body[6] === 0 && ip.body[7] === 0) {
        return true
      }
      return ip.body.length >= 8 && checksum(pseudoHeader(ip), ip.body) === 0
    case PROTO_TCP:
      return ip.body.length >= 20 && checksum(pseudoHeader(ip), ip.body) === 0
    case PROTO_ICMP6:
      return ip.body.length >= 8 && checksum(pseudoHeader(ip), ip.body) === 0
    default:
      return true
  }
}

export function kind (ip) {
  const [request, reply] = ip.version === 4 ? [8, 0] : [128, 129]
  if (ip.proto === (ip.version === 4 ? PROTO_ICMP : PROTO_ICMP6)) {
    return ip.body[0] === request ? 'echo-request' : ip.body[0] === reply ? 'echo-reply' : 'other'
  }
  if (ip.proto === PROTO_UDP && ((ip.body[2] << 8) | ip.body[3]) === UDP_PORT_ECHO) {
    return 'udp-echo'
  }
  return 'other'
}

/* The same packet on its way back: addresses swapped, a fresh hop limit, both checksums right. */
function turnRound (ip) {
  const out = new Uint8Array(ip.header.length + ip.body.length)
  out.set(ip.header)
  out.set(ip.body, ip.header.length)
  const [src, dst] = ip.version === 4 ? [12, 16] : [8, 24]
  out.set(ip.dst, src)
  out.set(ip.src, dst)
  if (ip.version === 4) {
    out[8] = 64
    out.fill(0, 10, 12)
    new DataView(out.buffer).setUint16(10, checksum(out.subarray(0, ip.header.length)))
  } else {
    out[7] = 64
  }
  return out
}

export function echoReply (ip) {
  const out = turnRound(ip)
  const body = out.subarray(ip.header.length)
  body[0] = ip.version === 4 ? 0 : 129
  body.fill(0, 2, 4)
  const sum = ip.version === 4 ? checksum(body) : checksum(pseudoHeader({ ...ip, src: ip.dst, dst: ip.src }), body)
  body[2] = sum >> 8
  body[3] = sum & 0xff
  return out
}

/* Swapping addresses and ports leaves a one's complement sum as it was. */
export function udpReply (ip) {
  const out = turnRound(ip)
  const body = out.subarray(ip.header.length)
  body.set(ip.body.subarray(2, 4), 0)
  body.set(ip.body.subarray(0, 2), 2)
  return out
}

/* The bytes of an address in text form, or null. */
export function addressBytes (text) {
  if (/^\d+(\.\d+){3}$/.test(text)) {
    const bytes = text.split('.').map(Number)
    return bytes.every((b) => b <= 255) ? Uint8Array.from(bytes) : null
  }
  const halves = text.split('::')
  const groups = (s) => s === '' ? [] : s.split(':')
  const left = groups(halves[0])
  const right = halves.length === 2 ? groups(halves[1]) : []
  const missing = 8 - left.length - right.length
  if (halves.length > 2 || (halves.length === 1 ? missing !== 0 : missing < 1)) {
    return null
  }
  const all = [...left, ...Array(missing).fill('0'), ...right]
  if (!all.every((g) => /^[0-9a-fA-F]{1,4}$/.test(g))) {
    return null
  }
  return Uint8Array.from(all.flatMap((g) => [parseInt(g, 16) >> 8, parseInt(g, 16) & 0xff]))
}
