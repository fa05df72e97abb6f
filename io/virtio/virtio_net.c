/* SPDX-License-Identifier: MIT */
/* The virtio network device (virtio 1.2, 5.1). Limits: virtio_net.h. */
#include <stdlib.h>
#include "io/net/frames.h"
#include "io/net/inet.h"
#include "io/virtio/virtio_net.h"

#define BATCH (1 * MiB)  /* bytes sent or received at one instant */

enum { RX, TX, CTRL, QUEUES };
enum { F_CSUM = 1 << 0, F_GUEST_CSUM = 1 << 1, F_MAC = 1 << 5, F_GUEST_TSO4 = 1 << 7, F_GUEST_TSO6 = 1 << 8,
	F_HOST_TSO4 = 1 << 11,
	F_HOST_TSO6 = 1 << 12, F_MRG_RXBUF = 1 << 15, F_STATUS = 1 << 16, F_CTRL_VQ = 1 << 17, F_CTRL_RX = 1 << 18,
	F_CTRL_MAC = 1 << 23 };
enum { C_MAC = 0, C_STATUS = 6, C_SIZE = 8, STATUS_LINK_UP = 1 };

/* Header before every frame (5.1.6): 0 flags 1 gso_type 2 hdr_len 4 gso_size 6 csum_start 8 csum_offset 10 num_buffers
 * */
enum { HEADER = 12, HEADER_OLD = 10 /* without num_buffers */ };
enum { H_FLAGS = 0, H_GSO = 1, H_HDR_LEN = 2, H_GSO_SIZE = 4, H_CSUM_START = 6, H_CSUM_OFFSET = 8, H_BUFFERS = 10 };
enum { ACK = 0x10, PSH = 8 }; /* flags of TCP */
enum { FLAG_NEEDS_CSUM = 1, FLAG_DATA_VALID = 2, GSO_TCPV4 = 1, GSO_TCPV6 = 4 };

enum { CTRL_RX = 0, CTRL_RX_PROMISC = 0, CTRL_RX_ALLMULTI = 1, CTRL_MAC = 1, CTRL_MAC_TABLE = 0, CTRL_MAC_ADDR = 1 };

struct virtio_net {
	struct virtio v;          /* first */
	bool promiscuous, all_multicast, table; /* table: unicast addresses were set beyond our own */
	struct frames frames;
	u8 mac[6];                /* at power-on */
	void (*out)(void *owner, const void *frame, size_t len);
	void *owner;
	struct virtio_chain chain;
	u8 frame[HEADER + FRAME_MAX]; /* in hand */
};

static const struct field net_fields[] = {
	VIRTIO_FIELDS,
	FIELD(struct virtio_net, promiscuous, BOOL), FIELD(struct virtio_net, all_multicast, BOOL),
	FIELD(struct virtio_net, table, BOOL),
	FRAMES_FIELDS(struct virtio_net, frames),
	FIELD_END
};

static unsigned header_len(const struct virtio_net *net)
{
	return virtio_legacy(&net->v) && !virtio_has(&net->v, F_MRG_RXBUF) ? HEADER_OLD : HEADER;
}

/* ---- out ---- */

/* The field at csum_offset behind csum_start holds the pseudo header's sum: add the rest. */
static void finish_checksum(const u8 *header, u8 *frame, size_t len)
{
	unsigned start = get16(header + H_CSUM_START), at = start + get16(header + H_CSUM_OFFSET);
	u16 sum;

	if (at + 2 > len)
		return;
	sum = (u16)~inet_sum(frame + start, len - start, 0);
	put16be(frame + at, sum ? sum : 0xffff); /* 0 would be "none" to UDP, and 0xffff is the same number */
}

static u64 transmit(struct virtio_net *net)
{
	struct virtio *v = &net->v;
	unsigned header = header_len(net);
	u64 bytes = 0;

	while (bytes < BATCH && virtio_peek(v, TX, 0, &net->chain)) {
		struct virtio_cursor at = virtio_out(&net->chain);
		size_t len = virtio_read(v, &at, net->frame, header + FRAME_MAX);
		u8 *frame = net->frame + header;

		if (v->status & VIRTIO_NEEDS_RESET)
			break;
		virtio_take(v, TX, 1);
		virtio_push(v, TX, net->chain.head, 0);
		bytes += 256 + len;
		if (len < header + FRAME_MIN || net->chain.out_len > header + FRAME_MAX)
			continue;
		len -= header;
		if (net->frame[H_FLAGS] & FLAG_NEEDS_CSUM)
			finish_checksum(net->frame, frame, len);
		if (net->out)
			net->out(net->owner, frame, len);
	}
	virtio_interrupt(v, TX);
	return bytes;
}

/* ---- in ---- */

static bool wanted(const struct virtio_net *net, const u8 *frame)
{
	static const u8 broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	if (net->promiscuous || net->table || !memcmp(frame, broadcast, 6))
		return true;
	/* Filters are best effort (5.1.6.5.2): multicast is not sorted out. */
	return frame[0] & 1 ? true : !memcmp(frame, net->v.config + C_MAC, 6);
}

/* The header for a frame that came in; false: the driver does not take such. */
static bool describe(struct virtio_net *net, u8 *header, u8 *frame, size_t len)
{
	bool csum = virtio_has(&net->v, F_GUEST_CSUM);
	struct inet i;

	memset(header, 0, HEADER);
	put16(header + H_BUFFERS, 1);
	if (!csum && len <= FRAME_WIRE)
		return true;
	if (!inet_parse(frame, len, &i) || !i.protocol)
		return len <= FRAME_WIRE + 4;
	if (len <= FRAME_WIRE + 4) {
		if (inet_ip_valid(frame, &i) && inet_l4_valid(frame, &i))
			header[H_FLAGS] = FLAG_DATA_VALID;
		return true;
	}
	if (i.protocol != INET_TCP || !csum || !virtio_has(&net->v, i.v6 ? F_GUEST_TSO6 : F_GUEST_TSO4) ||
	    !inet_l4_valid(frame, &i))
		return false;
	header[H_FLAGS] = FLAG_NEEDS_CSUM;
	header[H_GSO] = i.v6 ? GSO_TCPV6 : GSO_TCPV4;
	put16(header + H_HDR_LEN, (u16)i.payload);
	put16(header + H_GSO_SIZE, (u16)(FRAME_WIRE - (i.payload - i.ip) - 14));
	put16(header + H_CSUM_START, (u16)i.l4);
	put16(header + H_CSUM_OFFSET, 16);
	put16be(frame + i.l4 + 16, inet_pseudo(frame, &i));
	return true;
}

/* Put LEN bytes into the next chains of buffers. False: there are too few now. */
static bool deliver(struct virtio_net *net, u8 *data, size_t len)
{
	struct virtio *v = &net->v;
	bool merge = virtio_has(v, F_MRG_RXBUF);
	unsigned count = 0;
	size_t done = 0;
	u64 room = 0;

	do {
		if (!virtio_peek(v, RX, count, &net->chain))
			return false;
		room += net->chain.in_len;
		count++;
	} while (merge && room < len);
	if (room < len) {
		log_line(v->log, "%s: a frame of %zu bytes does not fit the driver's buffer", v->name, len);
		return true;
	}
	if (merge)
		put16(data + H_BUFFERS, (u16)count);
	for (unsigned i = 0; i < count; i++) {
		struct virtio_cursor at;
		size_t now = 0;

		if ((count > 1 && !virtio_peek(v, RX, i, &net->chain)) || v->status & VIRTIO_NEEDS_RESET)
			return true;
		at = virtio_in(&net->chain);
		now = virtio_write(v, &at, data + done, len - done);
		done += now;
		virtio_push(v, RX, net->chain.head, (u32)now);
	}
	virtio_take(v, RX, count);
	return true;
}

/* TCP over IPv4 with data, in order, nothing unusual about it. Offsets: 14 IP (16 length, 18 number, 24 checksum, 26
 * addresses), 34 TCP: ports, 38 sequence, 42 acknowledgement, 46 offset, 47 flags, 48 window, 50 checksum. */
static bool plain_segment(const u8 *frame, size_t len, struct inet *i)
{
	return inet_parse(frame, len, i) && !i->v6 && i->protocol == INET_TCP && i->ip == 14 && i->l4 == 34 &&
		i->payload < i->end &&
		(frame[47] & ~PSH) == ACK && inet_ip_valid(frame, i) && inet_l4_valid(frame, i);
}

/* Segments that follow each other in a connection go to a driver that takes large ones as one: FRAME, the first, of
 * *LEN bytes, grows by them. Returns how many there are in it; *MSS: the data that each but the last has. */
static unsigned gather(struct virtio_net *net, u8 *frame, size_t *len, u16 *mss)
{
	struct inet i, n;
	unsigned count = 1;
	u8 next[FRAME_WIRE];
	size_t end, more;
	u32 at = 0;

	if (!virtio_has(&net->v, F_GUEST_CSUM) || !virtio_has(&net->v, F_GUEST_TSO4) || *len > FRAME_WIRE ||
	    !plain_segment(frame, *len, &i))
		return 1;
	end = i.end;
	*mss = (u16)(i.end - i.payload);
	frames_next(&net->frames, &at, NULL, 0);
	while (!(frame[47] & PSH) && (more = frames_next(&net->frames, &at, next, sizeof next)) &&
	       more <= sizeof next) {
		size_t data;

		if (!plain_segment(next, more, &n) || n.payload != i.payload || memcmp(next, frame, 16) ||
		    memcmp(next + 20, frame + 20, 4) || memcmp(next + 26, frame + 26, 12) ||
		    get32be(next + 38) != get32be(frame + 38) + (u32)(end - i.payload) ||
		    memcmp(next + 42, frame + 42, 5) || memcmp(next + 48, frame + 48, 2) ||
		    memcmp(next + 52, frame + 52, i.payload - 52))
			break;
		data = n.end - n.payload;
		if (data > *mss || end + data > FRAME_MAX)
			break;
		memcpy(frame + end, next + n.payload, data);
		end += data;
		frame[47] |= next[47];
		count++;
		if (data < *mss)
			break;
	}
	if (count == 1)
		return 1;
	*len = end;
	put16be(frame + 16, (u16)(end - 14));
	put16be(frame + 24, 0);
	put16be(frame + 24, (u16)~inet_sum(frame + 14, 20, 0));
	i.end = (unsigned)end;
	put16be(frame + 50, 0);
	put16be(frame + 50, (u16)~inet_sum(frame + 34, end - 34, inet_pseudo(frame, &i)));
	return count;
}

static u64 receive(struct virtio_net *net)
{
	struct virtio *v = &net->v;
	unsigned header = header_len(net);
	u64 bytes = 0;
	bool together = true;
	size_t len;

	while (bytes < BATCH && (len = frames_first(&net->frames, net->frame + HEADER))) {
		u8 *frame = net->frame + HEADER, h[HEADER], *data = frame - header;
		u16 mss = 0;
		unsigned count = together ? gather(net, frame, &len, &mss) : 1;

		if (describe(net, h, frame, len) && wanted(net, frame)) {
			if (h[H_GSO] && count > 1)
				put16(h + H_GSO_SIZE, mss);
			memcpy(data, h, header);
			if (!deliver(net, data, header + len)) {
				if (count == 1)
					break;
				together = false; /* there are buffers for the first one, perhaps */
				continue;
			}
		}
		while (count--)
			frames_drop(&net->frames);
		bytes += 256 + len;
	}
	virtio_interrupt(v, RX);
	return bytes;
}

/* ---- control ---- */

/* Class, command, data; false: we do not know it. */
static bool command(struct virtio_net *net, const u8 *c, size_t len)
{
	if (c[0] == CTRL_RX && len >= 3) {
		if (c[1] == CTRL_RX_PROMISC)
			net->promiscuous = c[2];
		else if (c[1] == CTRL_RX_ALLMULTI)
			net->all_multicast = c[2];
		return c[1] <= CTRL_RX_ALLMULTI;
	}
	if (c[0] == CTRL_MAC && c[1] == CTRL_MAC_ADDR && len >= 8) {
		memcpy(net->v.config + C_MAC, c + 2, 6);
		return true;
	}
	if (c[0] == CTRL_MAC && c[1] == CTRL_MAC_TABLE && len >= 6) {
		net->table = get32(c + 2);
		return true;
	}
	return false;
}

static void control(struct virtio_net *net)
{
	struct virtio *v = &net->v;
	unsigned budget = VIRTIO_QUEUE_MAX;

	while (budget-- && virtio_peek(v, CTRL, 0, &net->chain)) {
		struct virtio_cursor out = virtio_out(&net->chain), in = virtio_in(&net->chain);
		u8 c[64], status;
		size_t len = virtio_read(v, &out, c, sizeof c);

		status = len < 2 || !command(net, c, len); /* VIRTIO_NET_OK is 0 */
		virtio_write(v, &in, &status, 1);
		virtio_take(v, CTRL, 1);
		virtio_push(v, CTRL, net->chain.head, 1);
	}
	virtio_interrupt(v, CTRL);
}

/* ---- life ---- */

static void run(void *owner)
{
	struct virtio_net *net = owner;
	u64 sent, received;

	control(net);
	sent = transmit(net);
	received = receive(net);
	if (sent >= BATCH || received >= BATCH)
		virtio_soon(&net->v, (sent + received) / 4);
}

static void virtio_net_reset(void *owner)
{
	struct virtio_net *net = owner;

	net->promiscuous = net->all_multicast = net->table = false;
	memcpy(net->v.config + C_MAC, net->mac, 6);
	frames_clear(&net->frames);
}

bool virtio_net_input(struct virtio_net *net, const void *frame, size_t len)
{
	if (len < FRAME_MIN || len > FRAME_MAX)
		return false;
	if (!virtio_live(&net->v)) /* nobody listens */
		return true;
	if (!frames_put(&net->frames, frame, len))
		return false;
	virtio_soon(&net->v, VIRTIO_WORK_NS);
	return true;
}

struct virtio_net *virtio_net_new(struct clock *clock, const u8 mac[6],
	void (*out)(void *owner, const void *frame, size_t len), void *owner,
		const struct log *log)
{
	struct virtio_net *net = calloc(1, sizeof *net);

	if (!net)
		return NULL;
	memcpy(net->mac, mac, 6);
	net->out = out;
	net->owner = owner;
	virtio_init(&net->v, "virtio-net", 0, VIRTIO_NET, 0x020000, QUEUES, clock, run, virtio_net_reset, net, log);
	net->v.features |= F_CSUM | F_GUEST_CSUM | F_MAC | F_GUEST_TSO4 | F_GUEST_TSO6 | F_HOST_TSO4 | F_HOST_TSO6 |
		F_MRG_RXBUF | F_STATUS |
		F_CTRL_VQ | F_CTRL_RX | F_CTRL_MAC;
	net->v.config_size = C_SIZE;
	net->v.config_writable = 6;
	put16(net->v.config + C_STATUS, STATUS_LINK_UP);
	virtio_net_reset(net);
	return net;
}

void virtio_net_free(struct virtio_net *net)
{
	free(net);
}

struct pci_function *virtio_net_pci(struct virtio_net *net)
{
	return &net->v.pci;
}

struct part virtio_net_part(struct virtio_net *net)
{
	return (struct part){ .name = net->v.name, .state = net, .fields = net_fields, .post_load = virtio_post_load };
}
