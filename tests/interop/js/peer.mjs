// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * A js-libp2p node that plays one member of the VPN: it speaks /vpn/1.0.0 over TCP, Noise and yamux, and answers
 * ICMP echo and UDP echo (port 7) for its addresses. Commands come in on stdin, events go out on stdout, one JSON
 * object a line; ../README.md lists them. The go peer takes the same options and speaks the same lines.
 *
 * /vpn/1.0.0 is one direction per stream, opened by the sender. So a reply never goes back on the stream that the
 * request came in on: each remote peer has one outbound stream of ours, opened on demand and again when it died.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { generateKeyPairFromSeed, privateKeyFromProtobuf } from '@libp2p/crypto/keys'
import { identify, identifyPush } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { peerIdFromString } from '@libp2p/peer-id'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { addressBytes, checksumIsRight, Deframer, echoReply, frame, kind, parse, udpReply } from './packet.mjs'

const VPN = '/vpn/1.0.0'
const STREAMS_MAX = 256 /* per connection and direction; js's own default of 32 would hide faults behind resets */
const TIMEOUT_MS = 10_000
const REDIAL_MS = 500
const MONITOR_MS = 500
const REPORT_MS = 200 /* at most one "packet" line in that time, so that a flood doesn't become a flood of lines */
const WRITE_BUFFER_MAX = 1 << 20 /* bytes on one stream; beyond it packets are dropped, as a network card would */

const { values: options } = parseArgs({
  options: {
    'key-seed': { type: 'string' },
    key: { type: 'string' },
    listen: { type: 'string', multiple: true, default: [] },
    dial: { type: 'string' },
    ip: { type: 'string', multiple: true, default: [] },
    mtu: { type: 'string', default: '1400' }
  }
})

const counts = {
  streams_in: 0,
  streams_out: 0,
  packets_in: 0,
  packets_out: 0,
  bytes_in: 0,
  bytes_out: 0,
  echo_requests: 0,
  echo_replies: 0,
  udp_echoes: 0,
  other_packets: 0,
  bad_packets: 0,
  bad_frames: 0,
  drops: 0
}

const emit = (event, fields = {}) => process.stdout.write(JSON.stringify({ event, ...fields }) + '\n')

function privateKey () {
  if (options.key != null) {
    return privateKeyFromProtobuf(readFileSync(options.key))
  }
  const seed = createHash('sha256').update(`runnel interop key ${options['key-seed'] ?? 0}`).digest()
  return generateKeyPairFromSeed('Ed25519', seed)
}

const addresses = options.ip.map((text) => {
  const bytes = addressBytes(text)
  if (bytes == null) {
    throw new Error(`--ip ${text}: not an address`)
  }
  return Buffer.from(bytes).toString('hex')
})
const isOurs = (bytes) => addresses.includes(Buffer.from(bytes).toString('hex'))

const node = await createLibp2p({
  privateKey: await privateKey(),
  addresses: { listen: options.listen },
  nodeInfo: { userAgent: 'runnel-interop-js' },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  /* Two: the connection monitor's own ping must not get in the way of one that we are told to make. */
  services: { identify: identify(), identifyPush: identifyPush(), ping: ping({ maxOutboundStreams: 2 }) },
  /* It drops a connection that leaves a ping without an answer; at the default of 10 s no test would see that. */
  connectionMonitor: { pingInterval: MONITOR_MS },
  /* The default of five connections a second from one address is for the open Internet, not for a test. */
  connectionManager: { inboundConnectionThreshold: 1000 }
})

let reportTimer = null
function report () {
  reportTimer ??= setTimeout(() => {
    reportTimer = null
    emit('packet', counts)
  }, REPORT_MS)
}

/* peer id -> promise of our open outbound stream to it */
const outbound = new Map()

async function openStream (peer) {
  const signal = AbortSignal.timeout(TIMEOUT_MS)
  const stream = await node.dialProtocol(peerIdFromString(peer), VPN, { signal, maxOutboundStreams: STREAMS_MAX })
  counts.streams_out++
  stream.addEventListener('message', () => {}) /* nothing comes this way, but unread bytes would pile up */
  return stream
}

function streamTo (peer) {
  let opening = outbound.get(peer)
  if (opening == null) {
    opening = openStream(peer)
    outbound.set(peer, opening)
    const forget = () => {
      if (outbound.get(peer) === opening) {
        outbound.delete(peer)
      }
    }
    opening.then((stream) => stream.addEventListener('close', forget), forget)
  }
  return opening
}

async function sendPacket (peer, packet) {
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      const stream = await streamTo(peer)
      if (stream.writeBufferLength > WRITE_BUFFER_MAX) {
        break
      }
      stream.send(frame(packet))
      counts.packets_out++
      counts.bytes_out += packet.length
      return
    } catch (err) {
      outbound.delete(peer) /* it died under us: once more on a fresh one */
    }
  }
  counts.drops++
}

function onPacket (peer, packet) {
  counts.packets_in++
  counts.bytes_in += packet.length
  report()
  const ip = parse(packet)
  if (ip == null || !checksumIsRight(ip)) {
    counts.bad_packets++
    return
  }
  const what = isOurs(ip.dst) ? kind(ip) : 'other'
  if (what === 'echo-request') {
    counts.echo_requests++
    sendPacket(peer, echoReply(ip))
  } else if (what === 'udp-echo') {
    counts.udp_echoes++
    sendPacket(peer, udpReply(ip))
  } else if (what === 'echo-reply') {
    counts.echo_replies++
    emit('reply', { peer, hex: Buffer.from(packet).toString('hex') })
  } else {
    counts.other_packets++
  }
}

function badFrame () {
  counts.bad_frames++
  report()
}

await node.handle(VPN, (stream, connection) => {
  const peer = connection.remotePeer.toString()
  const deframer = new Deframer(Number(options.mtu))
  counts.streams_in++
  stream.addEventListener('message', (evt) => {
    try {
      for (const packet of deframer.feed(evt.data.subarray())) {
        onPacket(peer, packet)
      }
    } catch (err) {
      badFrame()
      stream.abort(err)
    }
  })
  /*
   * A short stream's FIN may come while its protocol is still being negotiated: the stream has then "ended" before we
   * hear of it, but its bytes still wait for the listener above and are handed to it in a microtask.
   */
  const end = () => {
    if (stream.status === 'open' && deframer.rest.length > 0) {
      badFrame()
    }
    stream.close().catch(() => {})
  }
  stream.addEventListener('end', end)
  if (stream.readableEnded) {
    setTimeout(end, 0)
  }
}, { maxInboundStreams: STREAMS_MAX, maxOutboundStreams: STREAMS_MAX })

node.addEventListener('connection:open', ({ detail: c }) => {
  emit('connected', { peer: c.remotePeer.toString(), addr: c.remoteAddr.toString(), direction: c.direction })
})
node.addEventListener('connection:close', ({ detail: c }) => {
  emit('disconnected', { peer: c.remotePeer.toString(), left: node.getConnections(c.remotePeer).length })
})
node.addEventListener('peer:identify', ({ detail: r }) => {
  emit('identified', {
    peer: r.peerId.toString(),
    agent: r.agentVersion,
    protocols: r.protocols,
    observed: r.observedAddr?.toString(),
    addrs: r.listenAddrs.map((a) => a.toString())
  })
})

async function cmdPing ({ peer, count = 1 }) {
  for (let i = 0; i < count; i++) {
    const from = performance.now()
    await node.services.ping.ping(peerIdFromString(peer), { signal: AbortSignal.timeout(TIMEOUT_MS) })
    emit('ping', { peer, rtt_ms: performance.now() - from })
  }
}

/* The answer is the peer:identify event. */
async function cmdIdentify ({ peer }) {
  const [connection] = node.getConnections(peerIdFromString(peer))
  if (connection == null) {
    throw new Error('not connected')
  }
  await node.services.identify.identify(connection)
}

/* Raw bytes on a fresh stream; then says how the far end took it. */
async function cmdSend ({ peer, hex, chunk, close = 'fin', tag }) {
  const bytes = Buffer.from(hex, 'hex')
  const stream = await openStream(peer)
  stream.addEventListener('close', (evt) => {
    emit('stream-closed', { peer, tag, how: stream.status === 'reset' ? 'reset' : 'eof' })
  })
  const step = chunk ?? Math.max(bytes.length, 1)
  for (let at = 0; at < bytes.length; at += step) {
    if (!stream.send(bytes.subarray(at, at + step))) {
      await stream.onDrain({ signal: AbortSignal.timeout(TIMEOUT_MS) })
    }
    if (chunk != null) {
      await new Promise((resolve) => setImmediate(resolve)) /* so that the pieces don't leave as one write */
    }
  }
  emit('sent', { peer, tag, bytes: bytes.length })
  if (close === 'fin') {
    await stream.close({ signal: AbortSignal.timeout(TIMEOUT_MS) })
  } else if (close === 'reset') {
    stream.abort(new Error('as told'))
  }
}

async function quit () {
  emit('stats', counts)
  setTimeout(() => process.exit(0), 2000).unref()
  await node.stop()
  process.exit(0)
}

const commands = {
  ping: cmdPing,
  identify: cmdIdentify,
  send: cmdSend,
  dial: ({ addr }) => node.dial(multiaddr(addr), { signal: AbortSignal.timeout(TIMEOUT_MS) }),
  disconnect: ({ peer }) => node.hangUp(peerIdFromString(peer)),
  stats: async () => emit('stats', counts),
  quit
}

async function redial () {
  const addr = multiaddr(options.dial)
  const target = options.dial.split('/p2p/').pop()
  for (;;) {
    if (node.getConnections(peerIdFromString(target)).length === 0) {
      await node.dial(addr, { signal: AbortSignal.timeout(TIMEOUT_MS) })
        .catch((err) => emit('dial-failed', { addr: options.dial, error: err.message }))
    }
    await new Promise((resolve) => setTimeout(resolve, REDIAL_MS))
  }
}

emit('listening', { peer_id: node.peerId.toString(), addrs: node.getMultiaddrs().map((a) => a.toString()) })

const lines = createInterface({ input: process.stdin })
lines.on('line', async (line) => {
  let cmd
  try {
    cmd = JSON.parse(line)
    if (!Object.hasOwn(commands, cmd.cmd)) {
      throw new Error('no such command')
    }
    await commands[cmd.cmd](cmd)
  } catch (err) {
    emit('error', { cmd: cmd?.cmd, tag: cmd?.tag, error: err.message })
  }
})
lines.on('close', quit)

if (options.dial != null) {
  await redial()
}
