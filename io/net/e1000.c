/* SPDX-License-Identifier: MIT */
/* The 82540EM (Intel 8254x Software Developer's Manual): registers, EEPROM, PHY, interrupts. Limits: e1000.h. */
#include <stdlib.h>
#include "io/net/e1000_chip.h"

static const struct field e1000_fields[] = {
	FIELDS(struct e1000, reg, U32), FIELDS(struct e1000, phy, U16), FIELD(struct e1000, io_address, U32),
	FIELD(struct e1000, eeprom_in, U16), FIELD(struct e1000, eeprom_out, U16),
	FIELD_MAX(struct e1000, eeprom_left, U8, 17),
	FIELD(struct e1000, tx_due, U64), FIELD(struct e1000, rx_due, U64), FIELD(struct e1000, tx_limit, U64),
	FIELD(struct e1000, rx_limit, U64), FIELD(struct e1000, quiet, U64),
	FIELDS(struct e1000, context, U32), FIELD_MAX(struct e1000, tx_len, U32, E1000_SEGMENT),
	FIELD(struct e1000, tx_options, U8),
	FIELDS(struct e1000, tx_data, U8),
	FRAMES_FIELDS(struct e1000, frames),
	FIELD(struct e1000, work, EVENT), FIELD(struct e1000, interrupt, EVENT),
	FIELD_END
};

/* ---- interrupts (3.4.3.1, 13.4.17 to 13.4.20) ---- */

static u64 earlier(u64 a, u64 b)
{
	return a < b ? a : b;
}

/* Drive the pin, and look again when a delay ends. */
static void e1000_update(struct e1000 *e)
{
	u64 now = e->clock->now, when;
	bool level;

	if (e->tx_due <= now) {
		*e1000_reg(e, ICR) |= ICR_TXDW;
		e->tx_due = e->tx_limit = CLOCK_NEVER;
	}
	if (e->rx_due <= now) {
		*e1000_reg(e, ICR) |= ICR_RXT0;
		e->rx_due = e->rx_limit = CLOCK_NEVER;
	}
	level = *e1000_reg(e, ICR) & *e1000_reg(e, IMS);
	when = earlier(e->tx_due, e->rx_due);
	if (level && !e->pci.pin_level) {
		if (now < e->quiet) {
			level = false;
			when = earlier(when, e->quiet);
		} else { /* ITR counts in 256 ns */
			e->quiet = clock_in(e->clock, (u64)(*e1000_reg(e, ITR) & 0xffff) * 256);
		}
	}
	clock_arm(e->clock, &e->interrupt, when);
	pci_irq(&e->pci, level);
}

static void e1000_interrupt(void *owner, u64 late)
{
	(void)late;
	e1000_update(owner);
}

void e1000_cause(struct e1000 *e, u32 causes)
{
	*e1000_reg(e, ICR) |= causes;
	e1000_update(e);
}

/* Delays count in 1.024 us; each frame starts DELAY again, ABSOLUTE (0: none) ends it. */
void e1000_cause_delayed(struct e1000 *e, u64 *due, u64 *limit, unsigned delay, unsigned absolute, u32 cause)
{
	u64 ticks = *e1000_reg(e, delay) & 0xffff, most = *e1000_reg(e, absolute) & 0xffff;

	if (!ticks) {
		e1000_cause(e, cause);
		return;
	}
	if (*limit == CLOCK_NEVER && most)
		*limit = clock_in(e->clock, most * 1024);
	*due = earlier(clock_in(e->clock, ticks * 1024), *limit);
	e1000_update(e);
}

/* ---- EEPROM (5.6): 64 words ---- */

enum { EECD_SK = 1, EECD_CS = 2, EECD_DI = 4, EECD_DO = 8, EECD_REQ = 0x40, EECD_GNT = 0x80, EECD_PRESENT = 0x100 };
enum { EERD_START = 1, EERD_DONE = 0x10, EEPROM_WORDS = 64 };

/* Word 0..2 address  Ah, Fh control  Bh, Ch subsystem  Dh, Eh ids  3Fh makes the sum of all BABAh */
static u16 eeprom_plain(const struct e1000 *e, unsigned word)
{
	switch (word) {
	case 0: case 1: case 2: return get16(e->mac + 2 * word);
	case 0x0a: return 0x4408;
	case 0x0b: return 0x001e;
	case 0x0c: case 0x0e: return 0x8086;
	case 0x0d: return 0x100e;
	case 0x0f: return 0x3040;
	default: return 0;
	}
}

static u16 eeprom(const struct e1000 *e, unsigned word)
{
	u16 sum = 0xbaba;

	if (word != EEPROM_WORDS - 1)
		return eeprom_plain(e, word);
	for (word = 0; word < EEPROM_WORDS - 1; word++)
		sum -= eeprom_plain(e, word);
	return sum;
}

/* A Microwire EEPROM (93C46): after chip select, start bit 1, operation 10 (read) and 6 bits of address come in at
 * rising edges of the clock; a 0 and 16 bits of data go out. What would write to it is not heard. */
static void write_eecd(struct e1000 *e, u32 value)
{
	u32 *eecd = e1000_reg(e, EECD), old = *eecd;

	*eecd = value & (EECD_SK | EECD_CS | EECD_DI | EECD_REQ);
	if (!(value & EECD_CS)) {
		e->eeprom_in = 0;
		e->eeprom_left = 0;
	} else if ((value & EECD_SK) && !(old & EECD_SK)) {
		if (e->eeprom_left)
			e->eeprom_left--;
		else if (e->eeprom_in || (value & EECD_DI))
			e->eeprom_in = (u16)(e->eeprom_in << 1 | !!(value & EECD_DI));
		if (e->eeprom_in >> 6 == 6) {
			e->eeprom_out = eeprom(e, e->eeprom_in & (EEPROM_WORDS - 1));
			e->eeprom_left = 17;
			e->eeprom_in = 0;
		}
	}
}

static u32 read_eecd(struct e1000 *e)
{
	u32 value = *e1000_reg(e, EECD) | EECD_PRESENT;

	if (value & EECD_REQ)
		value |= EECD_GNT;
	if (e->eeprom_left == 17 ? false : e->eeprom_left ? e->eeprom_out >> (e->eeprom_left - 1) & 1 : true)
		value |= EECD_DO;
	return value;
}

/* ---- PHY (IEEE 802.3 clause 22; Marvell 88E1011) ---- */

enum { PHY_CONTROL = 0, PHY_STATUS = 1, PHY_ID1 = 2, PHY_ID2 = 3, PHY_ANAR = 4, PHY_PARTNER = 5, PHY_ANER = 6,
	PHY_1000T_CONTROL = 9,
	PHY_1000T_STATUS = 10, PHY_EXTENDED = 15, PHY_SPECIFIC = 16, PHY_SPECIFIC_STATUS = 17, PHY_SPECIFIC_MORE = 20 };
enum { MDIC_WRITE = 1, MDIC_READ = 2, MDIC_READY = 1 << 28, MDIC_INTERRUPT = 1 << 29, MDIC_ERROR = 1 << 30 };

static void phy_reset(struct e1000 *e)
{
	static const u16 initial[32] = {
		[PHY_CONTROL] = 0x1140, [PHY_STATUS] = 0x796d, [PHY_ID1] = 0x0141, [PHY_ID2] = 0x0c20,
			[PHY_ANAR] = 0x0de1,
		[PHY_PARTNER] = 0x45e1, [PHY_ANER] = 0x0007, [PHY_1000T_CONTROL] = 0x0e00, [PHY_1000T_STATUS] = 0x7c00,
		[PHY_EXTENDED] = 0x3000, [PHY_SPECIFIC] = 0x0360, [PHY_SPECIFIC_STATUS] = 0xac00,
		[PHY_SPECIFIC_MORE] = 0x0d60,
	};

	memcpy(e->phy, initial, sizeof e->phy);
}

static bool phy_writable(unsigned reg)
{
	return reg == PHY_CONTROL || reg == PHY_ANAR || reg == PHY_1000T_CONTROL || reg == PHY_SPECIFIC ||
	       reg >= PHY_SPECIFIC_MORE;
}

static void phy_write(struct e1000 *e, unsigned reg, u16 value)
{
	if (reg == PHY_CONTROL && (value & 0x8000)) {
		phy_reset(e);
		return;
	}
	if (!phy_writable(reg))
		return;
	e->phy[reg] = value;
	if (reg != PHY_CONTROL || !(value & 0x0200))
		return;
	e->phy[reg] &= 0xfdff; /* negotiation begins again, and is over */
	e1000_cause(e, ICR_LSC);
}

/* 15..0 data  20..16 register  25..21 PHY  27..26 operation  28 ready  29 interrupt  30 error */
static void write_mdic(struct e1000 *e, u32 value)
{
	unsigned reg = value >> 16 & 31, phy = value >> 21 & 31, op = value >> 26 & 3;

	if (phy != 1 || (op != MDIC_READ && op != MDIC_WRITE))
		value |= MDIC_ERROR;
	else if (op == MDIC_READ)
		value = (value & 0xffff0000) | e->phy[reg];
	else
		phy_write(e, reg, (u16)value);
	*e1000_reg(e, MDIC) = value | MDIC_READY;
	if (value & MDIC_INTERRUPT)
		e1000_cause(e, ICR_MDAC);
}

/* ---- registers ---- */

static void soon(struct e1000 *e)
{
	u64 when = clock_in(e->clock, E1000_WORK_NS);

	if (when < e->work.when)
		clock_arm(e->clock, &e->work, when);
}

static void work(void *owner, u64 late)
{
	struct e1000 *e = owner;
	bool sent, received;

	(void)late;
	if (!pci_master(&e->pci))
		return;
	sent = e1000_transmit(e);
	received = e1000_receive(e);
	if (!sent || !received)
		soon(e);
}

/* Global reset (13.4.1): all but the PHY; the address comes from the EEPROM. */
static void e1000_reset(struct e1000 *e)
{
	memset(e->reg, 0, sizeof e->reg);
	*e1000_reg(e, CTRL) = 0x00000a09;
	*e1000_reg(e, STATUS) = 0x80080783; /* full duplex, link up, 1000 Mbit/s */
	*e1000_reg(e, PBA) = 0x00100030;
	*e1000_reg(e, RAL) = get32(e->mac);
	*e1000_reg(e, RAH) = get16(e->mac + 4) | 0x80000000u;
	e->tx_due = e->rx_due = e->tx_limit = e->rx_limit = CLOCK_NEVER;
	e->quiet = 0;
	memset(e->context, 0, sizeof e->context);
	e->tx_len = 0;
	e->tx_options = 0;
	frames_clear(&e->frames);
	clock_arm(e->clock, &e->work, CLOCK_NEVER);
}

static u64 e1000_read_register(void *owner, u64 offset, unsigned size)
{
	struct e1000 *e = owner;
	u32 value;

	(void)size;
	if (offset >= REGISTERS_END)
		return 0;
	value = *e1000_reg(e, (unsigned)offset);
	switch (offset) {
	case EECD:
		return read_eecd(e);
	case ICR:
		*e1000_reg(e, ICR) = 0;
		e1000_update(e);
		break;
	case ICS: case IMC:
		return 0;
	}
	if (offset >= STATISTICS && offset < STATISTICS_END)
		*e1000_reg(e, (unsigned)offset) = 0;
	return value;
}

static void e1000_write_register(void *owner, u64 offset, unsigned size, u64 value64)
{
	struct e1000 *e = owner;
	u32 value = (u32)value64;

	(void)size;
	switch (offset) {
	case CTRL:
		if (value & CTRL_RST) {
			e1000_reset(e);
			e1000_update(e);
			return;
		}
		*e1000_reg(e, CTRL) = value & ~(1u << 31);
		if (value >> 31)
			phy_reset(e);
		return;
	case STATUS: return;
	case EECD: write_eecd(e, value); return;
	case EERD:
		if (value & EERD_START)
			value = (value & 0xff00) | EERD_DONE | (u32)eeprom(e, value >> 8 & (EEPROM_WORDS - 1)) << 16;
		break;
	case MDIC: write_mdic(e, value); return;
	case ICR: *e1000_reg(e, ICR) &= ~value; e1000_update(e); return;
	case ICS: e1000_cause(e, value); return;
	case IMS: *e1000_reg(e, IMS) |= value; e1000_update(e); return;
	case IMC: *e1000_reg(e, IMS) &= ~value; e1000_update(e); return;
	case RDTR: /* bit 31: flush the delay */
		if (value >> 31 && e->rx_due != CLOCK_NEVER)
			e->rx_due = e->clock->now;
		*e1000_reg(e, RDTR) = value & 0xffff;
		e1000_update(e);
		return;
	case RDBAL: case TDBAL: value &= ~15u; break;
	case RDLEN: case TDLEN: value &= 0xfff80; break;
	case RDH: case TDH: case RDT: case TDT: value &= 0xffff; break;
	}
	if (offset >= REGISTERS_END)
		return;
	*e1000_reg(e, (unsigned)offset) = value;
	if (offset == RDT || offset == TDT || offset == RCTL || offset == TCTL)
		soon(e);
}

static const struct device_ops register_ops = { e1000_read_register, e1000_write_register, 4, 4 };

/* Ports: 0 the address of a register, 4 the register (13.3.1). */
static u64 e1000_read_port(void *owner, u64 offset, unsigned size)
{
	struct e1000 *e = owner;

	return offset == 0 ? e->io_address : offset == 4 ? e1000_read_register(e, e->io_address, size) : 0;
}

static void e1000_write_port(void *owner, u64 offset, unsigned size, u64 value)
{
	struct e1000 *e = owner;

	if (offset == 0)
		e->io_address = (u32)value & 0x1fffc;
	else if (offset == 4)
		e1000_write_register(e, e->io_address, size, value);
}

static const struct device_ops port_ops = { e1000_read_port, e1000_write_port, 4, 4 };

bool e1000_input(struct e1000 *e, const void *frame, size_t len)
{
	if (len < FRAME_MIN || len > E1000_FRAME_MAX)
		return false;
	if (!(*e1000_reg(e, RCTL) & RCTL_EN))
		return true;
	if (!frames_put(&e->frames, frame, len))
		return false;
	soon(e);
	return true;
}

static void e1000_post_load(void *state)
{
	struct e1000 *e = state;

	e->io_address &= 0x1fffc;
	*e1000_reg(e, RDLEN) &= 0xfff80;
	*e1000_reg(e, TDLEN) &= 0xfff80;
}

struct e1000 *e1000_new(struct clock *clock, const u8 mac[6], void (*out)(void *owner, const void *frame, size_t len),
			void *owner)
{
	struct e1000 *e = calloc(1, sizeof *e);

	if (!e)
		return NULL;
	memcpy(e->mac, mac, 6);
	e->clock = clock;
	e->out = out;
	e->owner = owner;
	clock_add(clock, &e->work, "e1000 work", work, e);
	clock_add(clock, &e->interrupt, "e1000 e1000_interrupt", e1000_interrupt, e);
	pci_init(&e->pci, "e1000 pci", 0x8086, 0x100e, 0x020000);
	e->pci.config[PCI_REVISION] = 3;
	pci_subsystem(&e->pci, 0x8086, 0x001e);
	pci_pin(&e->pci, 1);
	pci_bar_memory(&e->pci, 0, 128 * KiB, &register_ops, e);
	pci_bar_ports(&e->pci, 1, 64, &port_ops, e);
	phy_reset(e);
	e1000_reset(e);
	return e;
}

void e1000_free(struct e1000 *e)
{
	free(e);
}

struct pci_function *e1000_pci(struct e1000 *e)
{
	return &e->pci;
}

struct part e1000_part(struct e1000 *e)
{
	return (struct part){ .name = "e1000", .state = e, .fields = e1000_fields, .post_load = e1000_post_load };
}
