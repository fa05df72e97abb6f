/* SPDX-License-Identifier: MIT */
/* The 82540EM's descriptor rings (8254x Software Developer's Manual, chapter 3). Limits: e1000.h. */
#include <zlib.h>
#include "io/net/e1000_chip.h"
#include "io/net/inet.h"

enum { DESC = 16, BATCH = 256, FRAMES = 16384 /* descriptors, and frames, at one instant: a segment may be a byte */ };

/* Transmit descriptor:       legacy                                  data (type 1)                            context (type 0)
 *   0  address (64)                                        address (64)                             IPCSS IPCSO IPCSE(16) | TUCSS TUCSO TUCSE(16)
 *   8  length (16)  CSO  command                           length (20)  type (4)  command           PAYLEN (20)  type (4)  command
 *   12 status  CSS  VLAN tag (16)                          status  POPTS  VLAN tag (16)             status  HDRLEN  MSS (16) */
enum { CMD_EOP = 0x01, CMD_IC = 0x04 /* legacy: insert checksum */, CMD_TSE = 0x04, CMD_RS = 0x08, CMD_DEXT = 0x20,
	CMD_VLE = 0x40, CMD_IDE = 0x80 };
enum { TUCMD_TCP = 0x01, TUCMD_IP = 0x02, POPTS_IXSM = 1, POPTS_TXSM = 2, STA_DD = 1 };
enum { TCP_SEQUENCE = 4, TCP_FLAGS = 13, TCP_FIN_PSH = 0x09 };

/* Receive descriptor: 0 address (64)  8 length (16)  10 checksum (16)  12 status  13 errors  14 VLAN tag (16) */
enum { RX_DD = 0x01, RX_EOP = 0x02, RX_IXSM = 0x04, RX_VP = 0x08, RX_TCPCS = 0x20, RX_IPCS = 0x40, RX_PIF = 0x80,
	RX_TCPE = 0x20, RX_IPE = 0x40 };
enum { RXCSUM_IP = 0x100, RXCSUM_TCP = 0x200 };

static u64 ring_base(struct e1000 *e, unsigned low)
{
	return *e1000_reg(e, low) | (u64)*e1000_reg(e, low + 4) << 32;
}

static void count64(struct e1000 *e, unsigned low, u64 n)
{
	u64 sum = (ring_base(e, low)) + n;

	*e1000_reg(e, low) = (u32)sum;
	*e1000_reg(e, low + 4) = (u32)(sum >> 32);
}

static void count(struct e1000 *e, unsigned good, unsigned all, unsigned good_bytes, unsigned all_bytes, size_t len)
{
	++*e1000_reg(e, good);
	++*e1000_reg(e, all);
	count64(e, good_bytes, len + 4);
	count64(e, all_bytes, len + 4);
}

/* ---- transmit (3.3) ---- */

/* The checksum of [START, END] (END 0: to the frame's end) into AT; what is there already counts. */
static void insert_checksum(u8 *frame, size_t len, unsigned start, unsigned at, unsigned end)
{
	size_t stop = end && end + 1 < len ? end + 1 : len;

	if (start < stop && at + 2 <= len)
		put16be(frame + at, (u16)~inet_sum(frame + start, stop - start, 0));
}

static void send(struct e1000 *e, u8 *frame, size_t len, u8 options)
{
	const u8 *c = (const u8 *)e->context;

	if (options & POPTS_IXSM)
		insert_checksum(frame, len, c[0], c[1], get16(c + 2));
	if (options & POPTS_TXSM)
		insert_checksum(frame, len, c[4], c[5], get16(c + 6));
	if (len < FRAME_MIN || len > E1000_FRAME_MAX)
		return;
	count(e, GPTC, TPT, GOTCL, TOTL, len);
	if (e->out)
		e->out(e->owner, frame, len);
}

/* TCP segmentation (3.5): HDRLEN bytes before every MSS bytes of the data; lengths, identification, sequence numbers
 * and flags change. Returns how many frames it makes. */
static unsigned segment(struct e1000 *e)
{
	const u8 *c = (const u8 *)e->context;
	unsigned header = c[13], mss = get16(c + 14), ip = c[0], tcp = c[4], sum = c[5];
	u32 left = e->tx_len, done = header;
	unsigned n = 0;
	u8 *head = e->tx_data;
	bool v4 = c[11] & TUCMD_IP;

	if (!mss || header > left || header + mss > E1000_FRAME_MAX || ip + 20u > header || tcp + 20u > header || sum +
		2u > header ||
			left - header > 64 * KiB)
		return 0;
	for (; done < left; n++) {
		u32 now = left - done < mss ? left - done : mss, len = header + now;
		bool last = done + now == left;
		u8 *f = e->frame;

		memcpy(f, head, header);
		memcpy(f + header, e->tx_data + done, now);
		if (v4) {
			put16be(f + ip + 2, (u16)(len - ip));
			put16be(f + ip + 4, (u16)(get16be(head + ip + 4) + n));
		} else {
			put16be(f + ip + 4, (u16)(len - ip - 40));
		}
		if (c[11] & TUCMD_TCP) {
			put32be(f + tcp + TCP_SEQUENCE, get32be(head + tcp + TCP_SEQUENCE) + (done - header));
			if (!last)
				f[tcp + TCP_FLAGS] &= (u8)~TCP_FIN_PSH;
		} else {
			put16be(f + tcp + 4, (u16)(len - tcp)); /* UDP's length */
		}
		/* The driver's pseudo header has no length yet. */
		put16be(f + sum, inet_sum(f + sum, 2, len - tcp));
		send(e, f, len, e->tx_options);
		done += now;
	}
	return n;
}

static void insert_tag(struct e1000 *e, u16 tag)
{
	if (e->tx_len < 12 || e->tx_len + 4 > E1000_SEGMENT)
		return;
	memmove(e->tx_data + 16, e->tx_data + 12, e->tx_len - 12);
	put16be(e->tx_data + 12, (u16)*e1000_reg(e, VET));
	put16be(e->tx_data + 14, tag);
	e->tx_len += 4;
}

/* A descriptor with data: gather it; at the frame's end, send it. Returns how many frames that were. */
static unsigned data(struct e1000 *e, const u8 *d)
{
	bool extended = d[11] & CMD_DEXT;
	u32 len = extended ? get32(d + 8) & 0xfffff : get16(d + 8);
	unsigned frames = 1;

	if (!e->tx_len)
		e->tx_options = extended ? d[13] : 0;
	if (len > E1000_SEGMENT - e->tx_len)
		len = E1000_SEGMENT - e->tx_len;
	space_read_block(pci_memory(&e->pci), get64(d), e->tx_data + e->tx_len, len);
	e->tx_len += len;
	if (!(d[11] & CMD_EOP))
		return 0;
	if (!extended && (d[11] & CMD_IC))
		insert_checksum(e->tx_data, e->tx_len, d[13], d[10], 0);
	if (extended && (d[11] & CMD_TSE))
		frames = segment(e);
	else {
		if ((d[11] & CMD_VLE) && (*e1000_reg(e, CTRL) & CTRL_VME))
			insert_tag(e, get16(d + 14));
		send(e, e->tx_data, e->tx_len, e->tx_options);
	}
	e->tx_len = 0;
	return frames;
}

bool e1000_transmit(struct e1000 *e)
{
	u32 ring = *e1000_reg(e, TDLEN) / DESC, *head = e1000_reg(e, TDH);
	struct space *mem = pci_memory(&e->pci);
	u32 causes = 0;
	unsigned frames = 0;
	bool delayed = false;

	if (!(*e1000_reg(e, TCTL) & TCTL_EN) || !ring)
		return true;
	for (unsigned n = 0; *head != *e1000_reg(e, TDT); n++) {
		u64 at = ring_base(e, TDBAL) + (u64)*head * DESC;
		u8 d[DESC];

		if (*head >= ring) /* the driver's slip: no such descriptor */
			return true;
		if (n == BATCH || frames >= FRAMES)
			break;
		space_read_block(mem, at, d, sizeof d);
		if ((d[11] & CMD_DEXT) && !(d[10] & 0xf0))
			memcpy(e->context, d, sizeof e->context);
		else
			frames += data(e, d);
		if (d[11] & CMD_RS) {
			d[12] |= STA_DD;
			space_write_block(mem, at + 12, d + 12, 1);
			if (d[11] & CMD_IDE)
				delayed = true;
			else
				causes |= ICR_TXDW;
		}
		*head = *head + 1 == ring ? 0 : *head + 1;
	}
	if (delayed)
		e1000_cause_delayed(e, &e->tx_due, &e->tx_limit, TIDV, TADV, ICR_TXDW);
	if (*head != *e1000_reg(e, TDT)) {
		e1000_cause(e, causes);
		return false;
	}
	e1000_cause(e, causes | ICR_TXQE);
	return true;
}

/* ---- receive (3.2) ---- */

static bool vlan_tagged(struct e1000 *e, const u8 *frame)
{
	return get16be(frame + 12) == (u16)*e1000_reg(e, VET);
}

static bool wanted(struct e1000 *e, const u8 *frame, size_t len)
{
	static const u8 broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, shift[4] = { 4, 3, 2, 0 };
	u32 rctl = *e1000_reg(e, RCTL);
	unsigned hash, tag;

	if (len > FRAME_WIRE + 4 && !(rctl & RCTL_LPE))
		return false;
	if ((rctl & RCTL_VFE) && len >= 18 && vlan_tagged(e, frame)) {
		tag = get16be(frame + 14) & 0xfff;
		if (!(*e1000_reg(e, VFTA + tag / 32 * 4) >> tag % 32 & 1))
			return false;
	}
	if (!memcmp(frame, broadcast, 6))
		return rctl & (RCTL_BAM | RCTL_MPE);
	if (rctl & (frame[0] & 1 ? RCTL_MPE : RCTL_UPE))
		return true;
	for (unsigned i = 0; i < 16; i++) {
		u32 high = *e1000_reg(e, RAH + 8 * i);

		if (high >> 31 && get32(frame) == *e1000_reg(e, RAL + 8 * i) && get16(frame + 4) == (u16)high)
			return true;
	}
	hash = get16(frame + 4) >> shift[rctl >> 12 & 3] & 0xfff;
	return (frame[0] & 1) && (*e1000_reg(e, MTA + hash / 32 * 4) >> hash % 32 & 1);
}

/* Bytes in one buffer (13.4.22). */
static u32 buffer_size(struct e1000 *e)
{
	u32 rctl = *e1000_reg(e, RCTL);
	unsigned code = rctl >> 16 & 3;

	return (rctl & RCTL_BSEX) && code ? 32768u >> code : 2048u >> code;
}

static u32 free_descriptors(struct e1000 *e)
{
	u32 ring = *e1000_reg(e, RDLEN) / DESC, head = *e1000_reg(e, RDH), tail = *e1000_reg(e, RDT);

	if (head >= ring || tail >= ring)
		return 0;
	return tail >= head ? tail - head : ring - head + tail;
}

/* Status and errors of a whole frame. */
static void check(struct e1000 *e, const u8 *frame, size_t len, u8 *status, u8 *errors)
{
	u32 rxcsum = *e1000_reg(e, RXCSUM);
	struct inet i;

	if (!inet_parse(frame, len, &i)) {
		*status |= RX_IXSM;
		return;
	}
	if (!i.v6 && (rxcsum & RXCSUM_IP)) {
		*status |= RX_IPCS;
		*errors |= inet_ip_valid(frame, &i) ? 0 : RX_IPE;
	}
	if (i.protocol && (rxcsum & RXCSUM_TCP)) {
		*status |= RX_TCPCS;
		*errors |= inet_l4_valid(frame, &i) ? 0 : RX_TCPE;
	}
}

/* LEN bytes of e->frame into descriptors. */
static void deliver(struct e1000 *e, size_t len)
{
	struct space *mem = pci_memory(&e->pci);
	u32 ring = *e1000_reg(e, RDLEN) / DESC, size = buffer_size(e), *head = e1000_reg(e, RDH),
	    start = *e1000_reg(e, RXCSUM) & 0xff;
	u8 status = e->frame[0] & 1 ? RX_PIF : 0, errors = 0, *frame = e->frame;
	u16 tag = 0, sum;

	check(e, frame, len, &status, &errors);
	sum = start < len ? inet_sum(frame + start, len - start, 0) : 0;
	if ((*e1000_reg(e, CTRL) & CTRL_VME) && len >= 18 && vlan_tagged(e, frame)) {
		tag = get16be(frame + 14);
		status |= RX_VP;
		memmove(frame + 4, frame, 12);
		frame += 4;
		len -= 4;
	}
	if (len < 60) {
		memset(frame + len, 0, 60 - len);
		len = 60;
	}
	if (!(*e1000_reg(e, RCTL) & RCTL_SECRC)) {
		put32(frame + len, (u32)crc32(0, frame, (uInt)len));
		len += 4;
	}
	for (size_t done = 0; done < len;) {
		u32 now = len - done < size ? (u32)(len - done) : size;
		u64 at = ring_base(e, RDBAL) + (u64)*head * DESC;
		u8 d[DESC];

		space_read_block(mem, at, d, sizeof d);
		space_write_block(mem, get64(d), frame + done, now);
		done += now;
		put16(d + 8, (u16)now);
		put16(d + 10, sum);
		d[12] = (u8)(RX_DD | (done == len ? RX_EOP | status : 0));
		d[13] = done == len ? errors : 0;
		put16(d + 14, tag);
		space_write_block(mem, at, d, sizeof d);
		*head = *head + 1 == ring ? 0 : *head + 1;
	}
}

bool e1000_receive(struct e1000 *e)
{
	u32 ring = *e1000_reg(e, RDLEN) / DESC, causes = 0;
	unsigned n = 0;
	size_t len;

	if (!(*e1000_reg(e, RCTL) & RCTL_EN))
		return true;
	while (n < BATCH && (len = frames_first(&e->frames, e->frame))) {
		if (!wanted(e, e->frame, len)) {
			frames_drop(&e->frames);
			continue;
		}
		if (free_descriptors(e) < ((len < 60 ? 60 : len) + 4 + buffer_size(e) - 1) / buffer_size(e))
			break;
		frames_drop(&e->frames);
		count(e, GPRC, TPR, GORCL, TORL, len);
		deliver(e, len);
		n++;
		if (free_descriptors(e) <= ring >> (1 + (*e1000_reg(e, RCTL) >> 8 & 3)))
			causes = ICR_RXDMT0;
	}
	if (!n)
		return true;
	if (causes)
		e1000_cause(e, causes);
	e1000_cause_delayed(e, &e->rx_due, &e->rx_limit, RDTR, RADV, ICR_RXT0);
	return n < BATCH;
}
