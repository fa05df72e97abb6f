/* SPDX-License-Identifier: MIT */
/* The SATA host controller (Serial ATA AHCI 1.3.1): ports, command lists, FISes. Limits: ahci.h. */
#include <stdlib.h>
#include "io/disk/ahci.h"

/* Generic host control (3.1), and port registers (3.3) from 100h + 80h * port on. */
enum { CAP = 0x00, GHC = 0x04, IS = 0x08, PI = 0x0c, VS = 0x10, CAP2 = 0x24, PORT0 = 0x100, PORT_SIZE = 0x80 };
enum { PX_CLB = 0x00, PX_CLBU = 0x04, PX_FB = 0x08, PX_FBU = 0x0c, PX_IS = 0x10, PX_IE = 0x14, PX_CMD = 0x18,
	PX_TFD = 0x20, PX_SIG = 0x24,
       PX_SSTS = 0x28, PX_SCTL = 0x2c, PX_SERR = 0x30, PX_SACT = 0x34, PX_CI = 0x38 };
enum { GHC_RESET = 1, GHC_IRQ = 2 };
#define GHC_AHCI 0x80000000u
/* 32 slots, NCQ, staggered spin-up no, 64-bit addresses, AHCI only, gen 2 speed; command list override; ports in bits
 * 4..0 */
#define CAP_VALUE (0x80000000u | 1u << 30 | 1u << 24 | 1u << 18 | 2u << 20 | 31u << 8)
enum { CMD_START = 1, CMD_SPIN = 2, CMD_POWER = 4, CMD_OVERRIDE = 8, CMD_RECEIVE = 0x10, CMD_RECEIVING = 1 << 14,
	CMD_RUNNING = 1 << 15,
       CMD_ATAPI = 1 << 24, CMD_SLOT = 0x1f00 };
#define CMD_WRITABLE (CMD_START | CMD_SPIN | CMD_POWER | CMD_RECEIVE | CMD_ATAPI | 0x06000000u)
enum { IS_D2H = 1, IS_PIO = 2, IS_DMA = 4, IS_SDB = 8, IS_OVERFLOW = 1 << 24, IS_INTERFACE = 1 << 27,
	IS_TASK_FILE = 1 << 30 };
/* FISes (Serial ATA 3.0, 10.3), and their places among the received ones (AHCI 4.2.1). */
enum { FIS_H2D = 0x27, FIS_D2H = 0x34, FIS_PIO_SETUP = 0x5f, FIS_SDB = 0xa1, AT_PIO = 0x20, AT_D2H = 0x40,
	AT_SDB = 0x58 };
enum { FIS_COMMAND = 0x80, FIS_IRQ = 0x40 };
enum { HEADER_LEN = 32, TABLE_ACMD = 0x40, TABLE_REGIONS = 0x80 };
enum { COMMAND_PACKET = 0xa0, COMMAND_READ_FPDMA = 0x60, COMMAND_WRITE_FPDMA = 0x61, CONTROL_SRST = 4 };
enum { NO_SLOT = 32 };

struct port {
	u64 clb, fb;
	u32 is, ie, cmd, sctl, serr, sact, ci;
	u32 tfd;               /* 15..8 error   7..0 status */
	u32 sig;
	struct ata_command ata; /* of the slot that is worked on */
	u8 slot, last;         /* it, or NO_SLOT; the one before */
	bool srst;
	struct event event;
	/* wiring */
	struct ahci *ahci;
	struct ata_drive *drive;
	unsigned number;
};

struct ahci {
	u32 ghc, is;
	struct port port[AHCI_PORTS];
	struct pci_function pci;
	struct clock *clock;
};

#define PORT_FIELDS(n) \
	FIELD(struct ahci, port[n].clb, U64), FIELD(struct ahci, port[n].fb, U64), \
		FIELD(struct ahci, port[n].is, U32), \
	FIELD(struct ahci, port[n].ie, U32), FIELD(struct ahci, port[n].cmd, U32), \
		FIELD(struct ahci, port[n].sctl, U32), \
	FIELD(struct ahci, port[n].serr, U32), FIELD(struct ahci, port[n].sact, U32), \
		FIELD(struct ahci, port[n].ci, U32), \
	FIELD(struct ahci, port[n].tfd, U32), FIELD(struct ahci, port[n].sig, U32), \
		ATA_COMMAND_FIELDS(struct ahci, port[n].ata), \
	FIELD_MAX(struct ahci, port[n].slot, U8, NO_SLOT), FIELD_MAX(struct ahci, port[n].last, U8, 31), \
	FIELD(struct ahci, port[n].srst, BOOL), FIELD(struct ahci, port[n].event, EVENT)

static const struct field ahci_fields[] = {
	FIELD(struct ahci, ghc, U32),
	FIELD(struct ahci, is, U32),
	PORT_FIELDS(0),
	PORT_FIELDS(1),
	PORT_FIELDS(2),
	PORT_FIELDS(3),
	PORT_FIELDS(4),
	PORT_FIELDS(5),
	FIELD_END
};

/* ---- interrupts ---- */

static void update_irq(struct ahci *ahci)
{
	for (unsigned i = 0; i < AHCI_PORTS; i++)
		if (ahci->port[i].is & ahci->port[i].ie)
			ahci->is |= 1u << i;
	pci_irq(&ahci->pci, (ahci->ghc & GHC_IRQ) && ahci->is);
}

static void ahci_interrupt(struct port *p, u32 bits)
{
	p->is |= bits;
	update_irq(p->ahci);
}

/* ---- received FISes ---- */

static struct space *memory(struct port *p) { return pci_memory(&p->ahci->pci); }

static void receive(struct port *p, unsigned at, const u8 *fis, unsigned len)
{
	if ((p->cmd & CMD_RECEIVE) && pci_master(&p->ahci->pci))
		space_write_block(memory(p), p->fb + at, fis, len);
}

/*  0 type 1 flags 2 status 3 error 4 LBA 7..0, 15..8, 23..16 7 device 8 LBA 31..24, 39..32, 47..40 12 count (16 bits)
 * */
static void fill_registers(const struct ata_command *ata, u8 type, u8 flags, u8 *fis)
{
	fis[0] = type;
	fis[1] = flags;
	fis[2] = ata->status;
	fis[3] = ata->error;
	for (unsigned i = 0; i < 3; i++) {
		fis[4 + i] = (u8)(ata->lba >> 8 * i);
		fis[8 + i] = (u8)(ata->lba >> (24 + 8 * i));
	}
	fis[7] = ata->device;
	put16(fis + 12, ata->count);
}

static void set_task_file(struct port *p)
{
	p->tfd = (u32)p->ata.error << 8 | p->ata.status;
}

static void send_registers(struct port *p)
{
	u8 fis[20] = { 0 };

	set_task_file(p);
	fill_registers(&p->ata, FIS_D2H, FIS_IRQ, fis);
	receive(p, AT_D2H, fis, sizeof fis);
}

static void send_pio_setup(struct port *p, u32 len, bool in)
{
	u8 fis[20] = { 0 };

	fill_registers(&p->ata, FIS_PIO_SETUP, (u8)(FIS_IRQ | in << 5), fis);
	fis[15] = p->ata.status;
	put16(fis + 16, (u16)len);
	receive(p, AT_PIO, fis, sizeof fis);
}

/* Set Device Bits:  2 status, but BSY and DRQ   3 error   4 bits of SACT to clear */
static void send_device_bits(struct port *p, u32 done)
{
	u8 fis[8] = { FIS_SDB, FIS_IRQ, p->ata.status & 0x77, p->ata.error };

	put32(fis + 4, done);
	set_task_file(p);
	receive(p, AT_SDB, fis, sizeof fis);
	p->sact &= ~done;
	ahci_interrupt(p, IS_SDB);
}

/* ---- commands ---- */

/* A command header:  0 flags   4 bytes moved   8 address of the table, 128-byte aligned
 *     flags   31..16 regions   10 clear BSY   6 write   5 ATAPI   4..0 words of the command FIS */
struct header { u32 flags; u64 table; u64 at; };

static struct header read_header(struct port *p, unsigned slot)
{
	struct header h = { .at = p->clb + slot * HEADER_LEN };
	u8 bytes[16];

	space_read_block(memory(p), h.at, bytes, sizeof bytes);
	h.flags = get32(bytes);
	h.table = get64(bytes + 8) & ~(u64)127;
	return h;
}

/* A region:  0 address, even   12  21..0 bytes - 1, odd */
struct regions { struct space *mem; u64 at; u32 left; };

static bool next_region(void *owner, u64 *addr, u32 *len)
{
	struct regions *r = owner;
	u8 entry[16];

	if (!r->left)
		return false;
	r->left--;
	space_read_block(r->mem, r->at, entry, sizeof entry);
	r->at += sizeof entry;
	*addr = get64(entry) & ~(u64)1;
	*len = (get32(entry + 12) & 0x3ffffe) + 2;
	return true;
}

static bool is_queued(const struct port *p)
{
	return p->ata.command == COMMAND_READ_FPDMA || p->ata.command == COMMAND_WRITE_FPDMA;
}

static void look_for_work(struct port *p);

/* The slot is done, for better or worse. Queued commands gave theirs back when they were begun. */
static void complete(struct port *p)
{
	bool failed = p->ata.status & ATA_ERR, queued = is_queued(p);
	u32 bit = 1u << (p->slot & 31);

	p->last = p->slot & 31;
	p->slot = NO_SLOT;
	if (queued && !failed) {
		send_device_bits(p, bit);
	} else if (queued) {
		send_device_bits(p, 0);
	} else {
		send_registers(p);
		if (!failed)
			p->ci &= ~bit;
		ahci_interrupt(p, IS_D2H);
	}
	if (failed)
		ahci_interrupt(p, IS_TASK_FILE); /* and the port stands until PxCMD.ST goes off and on */
	else
		look_for_work(p);
}

static void move_data(struct port *p, struct header h)
{
	struct regions regions = { memory(p), h.table + TABLE_REGIONS, h.flags >> 16 };
	u32 before = p->ata.left;
	bool pio = p->ata.protocol == ATA_PIO_IN || p->ata.protocol == ATA_PIO_OUT;
	u8 moved[4];

	if (ata_dma(p->drive, &p->ata, memory(p), next_region, &regions) != DISK_OK)
		return;
	if (pio) {
		send_pio_setup(p, before, p->ata.protocol == ATA_PIO_IN);
		p->is |= IS_PIO;
	}
	put32(moved, before - p->ata.left);
	space_write_block(memory(p), h.at + 4, moved, sizeof moved);
	if (p->ata.left && !(p->ata.status & ATA_ERR)) { /* the regions are too small */
		p->is |= IS_OVERFLOW;
		p->ata.left = 0;
	}
}

static void work(void *owner, u64 late)
{
	struct port *p = owner;
	u32 left;

	(void)late;
	if (p->slot == NO_SLOT || !p->drive)
		return;
	left = p->ata.left;
	if (left && p->ata.protocol != ATA_NO_DATA)
		move_data(p, read_header(p, p->slot));
	if ((left && p->ata.left == left) || ata_finish(p->drive, &p->ata) != DISK_OK) {
		clock_arm(p->ahci->clock, &p->event, clock_in(p->ahci->clock, 1));
		ata_wait(p->drive);
		return;
	}
	if (p->ata.command == COMMAND_PACKET)
		p->ata.count = (u16)((p->ata.count & 0xfff8) | 3);
	complete(p);
}

static void begin_packet(struct port *p, struct header h)
{
	u8 packet[16];

	space_read_block(memory(p), h.table + TABLE_ACMD, packet, sizeof packet);
	ata_packet(p->drive, &p->ata, packet, p->ata.feature & 1);
}

/* The command FIS: 1 bit 7: a command 2 command 3 feature 4.. LBA 7 device 11 feature 15..8 12 count 15 control */
static void begin(struct port *p, unsigned slot)
{
	struct header h = read_header(p, slot);
	u8 fis[20];

	space_read_block(memory(p), h.table, fis, sizeof fis);
	p->cmd = (p->cmd & ~(u32)CMD_SLOT) | slot << 8;
	if (fis[0] != FIS_H2D) {
		ahci_interrupt(p, IS_INTERFACE);
		return;
	}
	if (!(fis[1] & FIS_COMMAND)) { /* the control register: a software reset is two of these */
		bool srst = fis[15] & CONTROL_SRST;

		p->ci &= ~(1u << slot);
		if (p->srst && !srst) {
			ata_reset(p->drive, &p->ata);
			send_registers(p);
			ahci_interrupt(p, IS_D2H);
		}
		p->srst = srst;
		p->last = (u8)slot;
		look_for_work(p);
		return;
	}
	p->ata = (struct ata_command){
		.command = fis[2], .device = fis[7], .feature = (u16)(fis[3] | fis[11] << 8), .count = get16(fis + 12)
	};
	for (unsigned i = 0; i < 3; i++)
		p->ata.lba |= (u64)fis[4 + i] << 8 * i | (u64)fis[8 + i] << (24 + 8 * i);
	ata_begin(p->drive, &p->ata);
	if (p->ata.protocol == ATA_PACKET)
		begin_packet(p, h);
	if (is_queued(p)) {
		p->ci &= ~(1u << slot);
		p->tfd = ATA_DRDY | ATA_DSC;
	} else {
		p->tfd = ATA_BSY;
	}
	p->slot = (u8)slot;
	clock_arm(p->ahci->clock, &p->event, clock_in(p->ahci->clock, p->ata.ns));
}

static void look_for_work(struct port *p)
{
	for (unsigned i = 1; i <= 32; i++) {
		unsigned slot = (p->last + i) % 32;

		if (!(p->cmd & CMD_START) || !pci_master(&p->ahci->pci) || p->slot != NO_SLOT || (p->tfd & ATA_ERR))
			return;
		if (p->ci >> slot & 1) {
			begin(p, slot);
			return;
		}
	}
}

/* ---- a port's registers ---- */

static void stop(struct port *p)
{
	clock_arm(p->ahci->clock, &p->event, CLOCK_NEVER);
	p->slot = NO_SLOT;
	p->srst = false;
	p->last = 31;
	p->ci = p->sact = 0;
	p->cmd &= ~(u32)CMD_SLOT;
}

/* The link comes up, the drive says what it is. */
static void reset_link(struct port *p)
{
	stop(p);
	p->tfd = 0x7f;
	p->sig = 0xffffffff;
	p->serr = 0;
	if (!p->drive)
		return;
	ata_reset(p->drive, &p->ata);
	p->sig = (u32)(p->ata.lba << 8) | (p->ata.count & 0xff);
	send_registers(p);
}

static bool link_is_up(const struct port *p)
{
	return p->drive && (p->sctl & 15) == 0;
}

static void write_cmd(struct port *p, u32 value)
{
	bool was = p->cmd & CMD_START;

	p->cmd = (p->cmd & ~CMD_WRITABLE) | (value & CMD_WRITABLE);
	p->cmd = (p->cmd & ~(u32)(CMD_RUNNING | CMD_RECEIVING)) | (p->cmd & CMD_START ? CMD_RUNNING : 0) |
		 (p->cmd & CMD_RECEIVE ? CMD_RECEIVING : 0);
	if (was && !(value & CMD_START))
		stop(p);
	if (value & CMD_OVERRIDE) /* of BSY and DRQ */
		p->tfd &= ~(u32)(ATA_BSY | ATA_DRQ);
	if (!was && (value & CMD_START)) {
		p->tfd &= ~(u32)ATA_ERR; /* what stopped it is over */
		look_for_work(p);
	}
}

static u32 port_read(struct port *p, unsigned offset)
{
	switch (offset) {
	case PX_CLB: return (u32)p->clb;
	case PX_CLBU: return (u32)(p->clb >> 32);
	case PX_FB: return (u32)p->fb;
	case PX_FBU: return (u32)(p->fb >> 32);
	case PX_IS: return p->is;
	case PX_IE: return p->ie;
	case PX_CMD: return p->cmd;
	case PX_TFD: return p->tfd;
	case PX_SIG: return p->sig;
	case PX_SSTS: return link_is_up(p) ? 0x123 : 0; /* active, gen 2, present */
	case PX_SCTL: return p->sctl;
	case PX_SERR: return p->serr;
	case PX_SACT: return p->sact;
	case PX_CI: return p->ci;
	}
	return 0;
}

static void port_write(struct port *p, unsigned offset, u32 value)
{
	u32 was = p->sctl & 15;

	switch (offset) {
	case PX_CLB: p->clb = (p->clb & ~(u64)0xffffffff) | (value & ~0x3ffu); break;
	case PX_CLBU: p->clb = (u32)p->clb | (u64)value << 32; break;
	case PX_FB: p->fb = (p->fb & ~(u64)0xffffffff) | (value & ~0xffu); break;
	case PX_FBU: p->fb = (u32)p->fb | (u64)value << 32; break;
	case PX_IS:
		p->is &= ~value;
		update_irq(p->ahci);
		break;
	case PX_IE:
		p->ie = value & 0xfdc000ff;
		update_irq(p->ahci);
		break;
	case PX_CMD: write_cmd(p, value); break;
	case PX_SCTL: /*   3..0 DET: 1 resets the link as long as it is there, 4 turns it off */
		p->sctl = value & 0xfff;
		if (was == 1 && !(value & 15))
			reset_link(p);
		else if (value & 15)
			stop(p);
		break;
	case PX_SERR: p->serr &= ~value; break;
	case PX_SACT:
		if (p->cmd & CMD_START)
			p->sact |= value;
		break;
	case PX_CI:
		if ((p->cmd & CMD_START) && link_is_up(p)) {
			p->ci |= value;
			look_for_work(p);
		}
		break;
	}
}

/* ---- the controller's registers ---- */

static void ahci_reset(struct ahci *ahci)
{
	ahci->ghc = GHC_AHCI;
	ahci->is = 0;
	for (unsigned i = 0; i < AHCI_PORTS; i++) {
		struct port *p = &ahci->port[i];

		p->is = p->ie = p->sctl = 0;
		p->cmd = CMD_SPIN | CMD_POWER;
		reset_link(p);
	}
	update_irq(ahci);
}

static u64 ahci_read(void *owner, u64 offset, unsigned size)
{
	struct ahci *ahci = owner;

	(void)size;
	if (offset >= PORT0 && offset < PORT0 + AHCI_PORTS * PORT_SIZE)
		return port_read(&ahci->port[(offset - PORT0) / PORT_SIZE], offset % PORT_SIZE);
	switch (offset) {
	case CAP: return CAP_VALUE | (AHCI_PORTS - 1);
	case GHC: return ahci->ghc;
	case IS: return ahci->is;
	case PI: return (1u << AHCI_PORTS) - 1;
	case VS: return 0x00010301;
	}
	return 0;
}

static void ahci_write(void *owner, u64 offset, unsigned size, u64 value)
{
	struct ahci *ahci = owner;

	(void)size;
	if (offset >= PORT0 && offset < PORT0 + AHCI_PORTS * PORT_SIZE) {
		port_write(&ahci->port[(offset - PORT0) / PORT_SIZE], offset % PORT_SIZE, (u32)value);
		return;
	}
	switch (offset) {
	case GHC:
		if (value & GHC_RESET) {
			ahci_reset(ahci);
			break;
		}
		ahci->ghc = GHC_AHCI | (value & GHC_IRQ);
		update_irq(ahci);
		break;
	case IS:
		ahci->is &= ~(u32)value;
		update_irq(ahci);
		break;
	}
}

static const struct device_ops ahci_ops = { ahci_read, ahci_write, 4, 4 };

/* ---- life ---- */

struct ahci *ahci_new(struct pci_bus *pci, unsigned slot, struct clock *clock,
		      struct ata_drive *const drives[AHCI_PORTS])
{
	static const char *const names[AHCI_PORTS] = { "ahci 0", "ahci 1", "ahci 2", "ahci 3", "ahci 4", "ahci 5" };
	struct ahci *ahci = calloc(1, sizeof *ahci);

	if (!ahci)
		return NULL;
	ahci->clock = clock;
	pci_init(&ahci->pci, "ahci pci", 0x8086, 0x2922, 0x010601); /* as the one of the ICH9 */
	pci_bar_memory(&ahci->pci, 5, 4096, &ahci_ops, ahci);
	pci_pin(&ahci->pci, 1);
	for (unsigned i = 0; i < AHCI_PORTS; i++) {
		struct port *p = &ahci->port[i];

		p->ahci = ahci;
		p->number = i;
		p->drive = drives[i];
		clock_add(clock, &p->event, names[i], work, p);
	}
	while (slot < 32 && !pci_attach(pci, &ahci->pci, slot, 0))
		slot++;
	if (slot == 32) {
		free(ahci);
		return NULL;
	}
	ahci_reset(ahci);
	return ahci;
}

void ahci_free(struct ahci *ahci)
{
	free(ahci);
}

/* The bus drives the pin. */
void ahci_refresh(struct ahci *ahci)
{
	(void)ahci;
}

struct part ahci_part(struct ahci *ahci)
{
	return (struct part){ "ahci", ahci, ahci_fields, NULL };
}
