/* SPDX-License-Identifier: MIT */
/* The inside of the 82540EM (8254x Software Developer's Manual), for its files: e1000.c registers, EEPROM, PHY,
 * interrupts; e1000_dma.c descriptors. */
#ifndef IO_E1000_CHIP_H
#define IO_E1000_CHIP_H

#include "io/net/e1000.h"
#include "io/net/frames.h"

/* Registers (13.4), by byte offset. */
enum {
	CTRL = 0x0000, STATUS = 0x0008, EECD = 0x0010, EERD = 0x0014, MDIC = 0x0020, VET = 0x0038, ICR = 0x00c0,
		ITR = 0x00c4, ICS = 0x00c8,
	IMS = 0x00d0, IMC = 0x00d8, RCTL = 0x0100, TCTL = 0x0400, PBA = 0x1000,
	RDBAL = 0x2800, RDBAH = 0x2804, RDLEN = 0x2808, RDH = 0x2810, RDT = 0x2818, RDTR = 0x2820, RADV = 0x282c,
	TDBAL = 0x3800, TDBAH = 0x3804, TDLEN = 0x3808, TDH = 0x3810, TDT = 0x3818, TIDV = 0x3820, TADV = 0x382c,
	STATISTICS = 0x4000, GPRC = 0x4074, GPTC = 0x4080, GORCL = 0x4088, GOTCL = 0x4090, TORL = 0x40c0, TOTL = 0x40c8,
	TPR = 0x40d0,
	TPT = 0x40d4, STATISTICS_END = 0x4100,
	RXCSUM = 0x5000, MTA = 0x5200, RAL = 0x5400, RAH = 0x5404, VFTA = 0x5600, REGISTERS_END = 0x5c00,
};
enum { CTRL_RST = 1 << 26, CTRL_VME = 1 << 30 };
enum { ICR_TXDW = 1, ICR_TXQE = 2, ICR_LSC = 4, ICR_RXDMT0 = 0x10, ICR_RXT0 = 0x80, ICR_MDAC = 0x200 };
enum { RCTL_EN = 2, RCTL_UPE = 8, RCTL_MPE = 0x10, RCTL_LPE = 0x20, RCTL_BAM = 0x8000, RCTL_VFE = 1 << 18,
	RCTL_BSEX = 1 << 25,
	RCTL_SECRC = 1 << 26 };
enum { TCTL_EN = 2 };
enum { E1000_WORK_NS = 2000, E1000_FRAME_MAX = 16 * 1024, E1000_SEGMENT = 128 * 1024 };

struct e1000 {
	/* What it remembers */
	u32 reg[REGISTERS_END / 4];
	u16 phy[32];
	u32 io_address;                    /* IOADDR, port 0 */
	u16 eeprom_in;                     /* bits shifted in since chip select, behind a leading 1 */
	u16 eeprom_out;                    /* bits to shift out, highest first */
	u8 eeprom_left;                    /* how many */
	/* virtual ns at which delayed TXDW and RXT0 come; CLOCK_NEVER: none is under way */
	u64 tx_due, rx_due;
	u64 tx_limit, rx_limit;            /* and the absolute delays' ends */
	u64 quiet;                         /* no interrupt before this (ITR) */
	u32 context[4];                    /* the last context descriptor */
	u32 tx_len;                        /* bytes of the frame that is being gathered */
	u8 tx_options;                     /* POPTS of its first descriptor */
	u8 tx_data[E1000_SEGMENT];
	struct frames frames;              /* came in, and wait */
	struct event work, interrupt;
	/* How it is wired */
	struct pci_function pci;
	u8 mac[6];
	struct clock *clock;
	void (*out)(void *owner, const void *frame, size_t len);
	void *owner;
	u8 frame[FRAME_MAX + 4];           /* in hand */
};

static inline u32 *e1000_reg(struct e1000 *e, unsigned offset) { return &e->reg[offset / 4]; }

/* Cause interrupts, or cause them after the delays of TIDV and TADV, RDTR and RADV. */
void e1000_cause(struct e1000 *e, u32 causes);
void e1000_cause_delayed(struct e1000 *e, u64 *due, u64 *limit, unsigned delay, unsigned absolute, u32 cause);
/* Descriptors from head to tail; false: there is more to do. */
bool e1000_transmit(struct e1000 *e);
bool e1000_receive(struct e1000 *e);

#endif
