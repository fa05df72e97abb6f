/* SPDX-License-Identifier: MIT */
/* The RTL8029AS (National DP8390D data sheet). Limits: ne2000.h. */
#include <stdlib.h>
#include <zlib.h>
#include "io/net/frames.h"
#include "io/net/ne2000.h"

#define BYTE_NS 800u    /* at 10 Mbit/s */
#define AROUND 24u      /* bytes of time that a frame takes besides: preamble, CRC, gap */
#define PAGE 256u

enum { MEMORY = 0x4000, MEMORY_END = 0xc000, PROM_SIZE = 32 };
enum { CR_STP = 0x01, CR_STA = 0x02, CR_TXP = 0x04, CR_RD = 0x38, CR_READ = 0x08, CR_WRITE = 0x10, CR_SEND = 0x18 };
enum { ISR_PRX = 0x01, ISR_PTX = 0x02, ISR_RDC = 0x40, ISR_RST = 0x80 };
enum { RCR_AR = 0x02, RCR_AB = 0x04, RCR_AM = 0x08, RCR_PRO = 0x10, RCR_MON = 0x20 };
enum { TCR_LOOP = 0x06, TSR_PTX = 0x01, RSR_PRX = 0x01, RSR_PHY = 0x20, DCR_WTS = 0x01 };

struct ne2000 {
	u8 cr, isr, imr, rcr, tcr, dcr, tsr, rsr;
	u8 pstart, pstop, bnry, tpsr, curr;       /* pages of the buffer memory */
	u16 tbcr, rsar, rbcr;
	u8 par[6], mar[8];
	u8 memory[MEMORY_END - MEMORY];
	struct frames frames;
	struct event transmit, receive;          /* the end of a frame on the wire */
	struct {
		struct pci_function pci;
		u8 prom[PROM_SIZE];
		struct clock *clock;
		void (*out)(void *owner, const void *frame, size_t len);
		void *owner;
		u8 frame[FRAME_MAX + 4];          /* in hand */
	} wire;
};

static const struct field ne2000_fields[] = {
	FIELD(struct ne2000, cr, U8), FIELD(struct ne2000, isr, U8), FIELD(struct ne2000, imr, U8),
		FIELD(struct ne2000, rcr, U8),
	FIELD(struct ne2000, tcr, U8), FIELD(struct ne2000, dcr, U8), FIELD(struct ne2000, tsr, U8),
	FIELD(struct ne2000, rsr, U8),
	FIELD(struct ne2000, pstart, U8), FIELD(struct ne2000, pstop, U8), FIELD(struct ne2000, bnry, U8),
	FIELD(struct ne2000, tpsr, U8),
	FIELD(struct ne2000, curr, U8),
	FIELD(struct ne2000, tbcr, U16), FIELD(struct ne2000, rsar, U16), FIELD(struct ne2000, rbcr, U16),
	FIELDS(struct ne2000, par, U8), FIELDS(struct ne2000, mar, U8), FIELDS(struct ne2000, memory, U8),
	FRAMES_FIELDS(struct ne2000, frames),
	FIELD(struct ne2000, transmit, EVENT), FIELD(struct ne2000, receive, EVENT),
	FIELD_END
};

static void ne2000_update(struct ne2000 *ne)
{
	pci_irq(&ne->wire.pci, ne->isr & ne->imr & 0x7f);
}

static u64 wire_time(size_t len)
{
	return (u64)((len < 60 ? 60 : len) + AROUND) * BYTE_NS;
}

/* ---- buffer memory ---- */

static u8 get(const struct ne2000 *ne, u16 at)
{
	if (at < PROM_SIZE)
		return ne->wire.prom[at];
	return at >= MEMORY && at < MEMORY_END ? ne->memory[at - MEMORY] : 0xff;
}

static void put(struct ne2000 *ne, u16 at, u8 value)
{
	if (at >= MEMORY && at < MEMORY_END)
		ne->memory[at - MEMORY] = value;
}

/* One byte of a remote DMA, to or from the processor. It runs around the receive ring. */
static void advance(struct ne2000 *ne)
{
	ne->rsar++;
	if (ne->rsar == ne->pstop * PAGE)
		ne->rsar = ne->pstart * PAGE;
	if (--ne->rbcr)
		return;
	ne->isr |= ISR_RDC;
	ne2000_update(ne);
}

/* With word transfers, an access of one byte has a word pass, too. */
static unsigned units(const struct ne2000 *ne, unsigned size)
{
	return size == 1 && (ne->dcr & DCR_WTS) ? 2 : size;
}

static u32 read_data(struct ne2000 *ne, unsigned size)
{
	u32 value = 0;

	for (unsigned i = 0; i < units(ne, size) && ne->rbcr && (ne->cr & CR_RD) == CR_READ; i++) {
		value |= (u32)get(ne, ne->rsar) << (8 * i);
		advance(ne);
	}
	return value;
}

static void write_data(struct ne2000 *ne, unsigned size, u32 value)
{
	for (unsigned i = 0; i < units(ne, size) && ne->rbcr && (ne->cr & CR_RD) == CR_WRITE; i++) {
		put(ne, ne->rsar, (u8)(value >> (8 * i)));
		advance(ne);
	}
}

/* ---- frames ---- */

static void transmitted(void *owner, u64 late)
{
	struct ne2000 *ne = owner;
	u8 *frame = ne->wire.frame;
	unsigned len = ne->tbcr;

	(void)late;
	for (unsigned i = 0; i < len; i++)
		frame[i] = get(ne, (u16)(ne->tpsr * PAGE + i));
	if (ne->wire.out && len >= FRAME_MIN && len <= FRAME_WIRE + 4 && !(ne->tcr & TCR_LOOP))
		ne->wire.out(ne->wire.owner, frame, len);
	ne->cr &= (u8)~CR_TXP;
	ne->tsr = TSR_PTX;
	ne->isr |= ISR_PTX;
	ne2000_update(ne);
}

/* The filter's bit is the highest six bits of the address's CRC, which zlib keeps the other way round. */
static unsigned hash_of(const u8 *address)
{
	u32 crc = ~(u32)crc32(0, address, 6);
	unsigned hash = 0;

	for (unsigned i = 0; i < 6; i++)
		hash |= (crc >> i & 1) << (5 - i);
	return hash;
}

static bool wanted(const struct ne2000 *ne, const u8 *frame)
{
	static const u8 broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	unsigned hash;

	if (ne->rcr & RCR_MON)
		return false;
	if (!memcmp(frame, broadcast, 6))
		return ne->rcr & (RCR_AB | RCR_PRO);
	if (frame[0] & 1) {
		hash = hash_of(frame);
		return (ne->rcr & RCR_AM) && (ne->mar[hash / 8] >> hash % 8 & 1);
	}
	return (ne->rcr & RCR_PRO) || !memcmp(frame, ne->par, 6);
}

static bool running(const struct ne2000 *ne)
{
	return (ne->cr & (CR_STA | CR_STP)) == CR_STA && ne->pstart < ne->pstop && ne->curr >= ne->pstart &&
	       ne->curr < ne->pstop;
}

/* The frame in hand into the ring of pages: status, next page, count (16), then its bytes and CRC. False: no room. */
static bool deliver(struct ne2000 *ne, unsigned len)
{
	unsigned ring = ne->pstop - ne->pstart, used = ne->curr - ne->bnry, pages, next;
	u8 *frame = ne->wire.frame, header[4];
	u16 at = ne->curr * PAGE;

	if (len < 60) {
		memset(frame + len, 0, 60 - len);
		len = 60;
	}
	put32(frame + len, (u32)crc32(0, frame, len));
	len += 4;
	pages = (len + 4 + PAGE - 1) / PAGE;
	if (ne->bnry > ne->curr)
		used += ring;
	if (pages >= ring || (used < ring && pages >= ring - used))
		return false;
	next = ne->curr + pages;
	if (next >= ne->pstop)
		next -= ring;
	ne->rsr = RSR_PRX | (frame[0] & 1 ? RSR_PHY : 0);
	header[0] = ne->rsr;
	header[1] = (u8)next;
	put16(header + 2, (u16)len);
	for (unsigned i = 0; i < len + 4; i++) {
		put(ne, at++, i < 4 ? header[i] : frame[i - 4]);
		if (at == ne->pstop * PAGE)
			at = ne->pstart * PAGE;
	}
	ne->curr = (u8)next;
	ne->isr |= ISR_PRX;
	return true;
}

/* The next frame is on the wire, unless there is none or nobody listens. One that found no room comes again when there
 * may be some. */
static void arm_receive(struct ne2000 *ne)
{
	size_t len = running(ne) ? frames_first(&ne->frames, NULL) : 0;

	if (!len || ne->receive.when == CLOCK_NEVER)
		clock_arm(ne->wire.clock, &ne->receive, len ? clock_in(ne->wire.clock, wire_time(len)) : CLOCK_NEVER);
}

static void received(void *owner, u64 late)
{
	struct ne2000 *ne = owner;
	size_t len = running(ne) ? frames_first(&ne->frames, ne->wire.frame) : 0;

	(void)late;
	if (!len || (len <= FRAME_WIRE + 4 && wanted(ne, ne->wire.frame) && !deliver(ne, (unsigned)len)))
		return;
	frames_drop(&ne->frames);
	arm_receive(ne);
	ne2000_update(ne);
}

bool ne2000_input(struct ne2000 *ne, const void *frame, size_t len)
{
	if (len < FRAME_MIN || len > FRAME_WIRE + 4)
		return false;
	if (!running(ne))
		return true;
	if (!frames_put(&ne->frames, frame, len))
		return false;
	arm_receive(ne);
	return true;
}

/* ---- registers ---- */

static u8 ne2000_read_register(struct ne2000 *ne, unsigned n)
{
	unsigned page = ne->cr >> 6;

	if (n == 0)
		return ne->cr;
	if (page == 1)
		return n <= 6 ? ne->par[n - 1] : n == 7 ? ne->curr : ne->mar[n - 8];
	switch (page << 4 | n) {
	case 0x01: return (u8)ne->rsar;
	case 0x02: return (u8)(ne->rsar >> 8);
	case 0x03: return ne->bnry;
	case 0x04: return ne->tsr;
	case 0x07: return ne->isr;
	case 0x08: return (u8)ne->rsar;
	case 0x09: return (u8)(ne->rsar >> 8);
	case 0x0a: return 0x50; /* RTL8029AS: 'P' 'C' */
	case 0x0b: return 0x43;
	case 0x0c: return ne->rsr;
	case 0x21: return ne->pstart;
	case 0x22: return ne->pstop;
	case 0x24: return ne->tpsr;
	case 0x2c: return ne->rcr | 0xc0;
	case 0x2d: return ne->tcr | 0xe0;
	case 0x2e: return ne->dcr | 0x80;
	case 0x2f: return ne->imr | 0x80;
	case 0x36: return 0x40; /* CONFIG3: full duplex */
	default: return 0;
	}
}

static void write_command(struct ne2000 *ne, u8 value)
{
	ne->cr = value | (value & CR_STP ? 0 : ne->cr & CR_TXP); /* a transmission goes on */
	if (value & CR_STP) {
		ne->isr |= ISR_RST;
		return;
	}
	ne->isr &= (u8)~ISR_RST;
	if ((value & (CR_READ | CR_WRITE)) && !(value & 0x20) && !ne->rbcr)
		ne->isr |= ISR_RDC;
	if ((value & CR_RD) == CR_SEND) { /* the packet at BNRY is what comes next */
		ne->rsar = ne->bnry * PAGE;
		ne->rbcr = get16((u8[2]){ get(ne, ne->rsar + 2), get(ne, ne->rsar + 3) });
		ne->cr = (u8)((ne->cr & ~CR_RD) | CR_READ);
	}
	if ((value & CR_TXP) && ne->transmit.when == CLOCK_NEVER)
		clock_arm(ne->wire.clock, &ne->transmit, clock_in(ne->wire.clock, wire_time(ne->tbcr)));
}

static void ne2000_write_register(struct ne2000 *ne, unsigned n, u8 value)
{
	unsigned page = ne->cr >> 6;

	if (n == 0) {
		write_command(ne, value);
	} else if (page == 1) {
		*(n <= 6 ? &ne->par[n - 1] : n == 7 ? &ne->curr : &ne->mar[n - 8]) = value;
	} else if (page == 0) {
		switch (n) {
		case 0x1: ne->pstart = value; break;
		case 0x2: ne->pstop = value; break;
		case 0x3: ne->bnry = value; arm_receive(ne); break;
		case 0x4: ne->tpsr = value; break;
		case 0x5: ne->tbcr = (ne->tbcr & 0xff00) | value; break;
		case 0x6: ne->tbcr = (u16)((ne->tbcr & 0xff) | value << 8); break;
		case 0x7: ne->isr &= (u8)~(value & 0x7f); break;
		case 0x8: ne->rsar = (ne->rsar & 0xff00) | value; break;
		case 0x9: ne->rsar = (u16)((ne->rsar & 0xff) | value << 8); break;
		case 0xa: ne->rbcr = (ne->rbcr & 0xff00) | value; break;
		case 0xb: ne->rbcr = (u16)((ne->rbcr & 0xff) | value << 8); break;
		case 0xc: ne->rcr = value & 0x3f; break;
		case 0xd: ne->tcr = value & 0x1f; break;
		case 0xe: ne->dcr = value & 0x7f; break;
		case 0xf: ne->imr = value & 0x7f; break;
		}
	}
	ne2000_update(ne);
}

static void ne2000_reset(struct ne2000 *ne)
{
	ne->cr = CR_STP | 0x20;
	ne->isr = ISR_RST;
	ne->imr = 0;
	ne->tcr = ne->rcr = ne->dcr = 0;
	frames_clear(&ne->frames);
	clock_arm(ne->wire.clock, &ne->transmit, CLOCK_NEVER);
	clock_arm(ne->wire.clock, &ne->receive, CLOCK_NEVER);
	ne2000_update(ne);
}

static u64 ne2000_read_port(void *owner, u64 offset, unsigned size)
{
	struct ne2000 *ne = owner;
	u64 value = 0;

	if (offset >= 0x18) {
		ne2000_reset(ne);
		return 0;
	}
	if (offset >= 0x10)
		return read_data(ne, size);
	for (unsigned i = 0; i < size; i++)
		value |= (u64)ne2000_read_register(ne, (unsigned)offset + i) << (8 * i);
	return value;
}

static void ne2000_write_port(void *owner, u64 offset, unsigned size, u64 value)
{
	struct ne2000 *ne = owner;

	if (offset >= 0x18)
		return;
	if (offset >= 0x10)
		write_data(ne, size, (u32)value);
	else
		for (unsigned i = 0; i < size; i++)
			ne2000_write_register(ne, (unsigned)offset + i, (u8)(value >> (8 * i)));
}

static const struct device_ops port_ops = { ne2000_read_port, ne2000_write_port, 1, 4 };

struct ne2000 *ne2000_new(struct clock *clock, const u8 mac[6], void (*out)(void *owner, const void *frame, size_t len),
			  void *owner)
{
	struct ne2000 *ne = calloc(1, sizeof *ne);

	if (!ne)
		return NULL;
	for (unsigned i = 0; i < 16; i++)
		ne->wire.prom[2 * i] = ne->wire.prom[2 * i + 1] = i < 6 ? mac[i] : i >= 14 ? 0x57 : 0;
	ne->wire.clock = clock;
	ne->wire.out = out;
	ne->wire.owner = owner;
	clock_add(clock, &ne->transmit, "ne2000 transmit", transmitted, ne);
	clock_add(clock, &ne->receive, "ne2000 receive", received, ne);
	pci_init(&ne->wire.pci, "ne2000 pci", 0x10ec, 0x8029, 0x020000);
	pci_subsystem(&ne->wire.pci, 0x10ec, 0x8029);
	pci_pin(&ne->wire.pci, 1);
	pci_bar_ports(&ne->wire.pci, 0, 32, &port_ops, ne);
	ne->cr = CR_STP | 0x20;
	ne->isr = ISR_RST;
	return ne;
}

void ne2000_free(struct ne2000 *ne)
{
	free(ne);
}

struct pci_function *ne2000_pci(struct ne2000 *ne)
{
	return &ne->wire.pci;
}

struct part ne2000_part(struct ne2000 *ne)
{
	return (struct part){ .name = "ne2000", .state = ne, .fields = ne2000_fields };
}
