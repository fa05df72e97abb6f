/* SPDX-License-Identifier: MIT */
/* The MP table. Chapter and table numbers are those of the MultiProcessor Specification 1.4, chapter 4. */
#include "io/chipset/acpi.h"
#include "io/chipset/ioapic.h"
#include "io/firmware/mptable.h"

#define LAPIC_BASE 0xfee00000u
enum { ENTRY_PROCESSOR, ENTRY_BUS, ENTRY_IOAPIC, ENTRY_INTERRUPT, ENTRY_LOCAL };
enum { INT, NMI, SMI, EXTINT };
enum { FLOATING = 16, HEADER = 44, PROCESSOR = 20, OTHER = 8, PCI_BUS = 0, ISA_BUS = 1, EVERY_APIC = 0xff,
	PCI_SLOTS = 32,
	ROOM = FLOATING + HEADER + 255 * PROCESSOR + (24 + 4 * PCI_SLOTS) * OTHER };

static u8 checksum(const u8 *p, unsigned len)
{
	u8 sum = 0;

	while (len--)
		sum += *p++;
	return (u8)-sum;
}

/* Table 4-9, 4-11: 0 type 1 kind 2 polarity and trigger (0: as the bus has it) 4 bus 5 its IRQ 6 APIC 7 its input */
static u8 *mptable_interrupt(u8 *p, u8 type, u8 kind, u16 flags, u8 bus, u8 irq, u8 apic, u8 input)
{
	p[0] = type;
	p[1] = kind;
	put16(p + 2, flags);
	p[4] = bus;
	p[5] = irq;
	p[6] = apic;
	p[7] = input;
	return p + OTHER;
}

static u8 *bus(u8 *p, u8 id, const char *type)
{
	p[0] = ENTRY_BUS;
	p[1] = id;
	memcpy(p + 2, type, 6);
	return p + OTHER;
}

/* Table 4-3; returns the table's length. */
static unsigned build_table(u8 *t, unsigned cpus, u32 signature, u32 features)
{
	u8 ioapic = mptable_ioapic_id(cpus), *p = t + HEADER;
	unsigned count = cpus + 3, len;

	for (unsigned i = 0; i < cpus; i++, p += PROCESSOR) { /* table 4-4 */
		p[0] = ENTRY_PROCESSOR;
		p[1] = (u8)i;
		p[2] = 0x14; /* version of an integrated APIC */
		p[3] = i ? 1 : 3; /* enabled; the one that boots */
		put32(p + 4, signature);
		put32(p + 8, features);
	}
	p = bus(p, PCI_BUS, "PCI   ");
	p = bus(p, ISA_BUS, "ISA   ");
	p[0] = ENTRY_IOAPIC;
	p[1] = ioapic;
	p[2] = 0x20;
	p[3] = 1;
	put32(p + 4, IOAPIC_BASE);
	p += OTHER;
	for (u8 irq = 0; irq < 16; irq++) {
		if (irq == 2)
			continue; /* the cascade */
		p = mptable_interrupt(p, ENTRY_INTERRUPT, INT, irq == ACPI_SCI_IRQ ? 0xd : 0, ISA_BUS, irq, ioapic,
				      irq ? irq : 2);
		count++;
	}
	for (u8 slot = 1; slot < PCI_SLOTS; slot++)
		for (u8 pin = 0; pin < 4; pin++, count++)
			p = mptable_interrupt(p, ENTRY_INTERRUPT, INT, 0, PCI_BUS, (u8)(slot << 2 | pin), ioapic,
					      PIRQ_PIN + ((slot - 1 + pin) & 3));
	p = mptable_interrupt(p, ENTRY_LOCAL, EXTINT, 0, ISA_BUS, 0, 0, 0);
	p = mptable_interrupt(p, ENTRY_LOCAL, NMI, 0, ISA_BUS, 0, EVERY_APIC, 1);
	count += 2;
	len = (unsigned)(p - t);
	memcpy(t, "PCMP", 4);
	put16(t + 4, (u16)len);
	t[6] = 4;
	memcpy(t + 8, "VCPU    PC          ", 20);
	put16(t + 34, (u16)count);
	put32(t + 36, LAPIC_BASE);
	t[7] = checksum(t, len);
	return len;
}

u64 mptable_build(struct space *memory, u64 base, u64 size, unsigned cpus, u32 signature, u32 features)
{
	u8 bytes[ROOM] = { 0 };
	unsigned len;

	if (!cpus || cpus > 255)
		return 0;
	memcpy(bytes, "_MP_", 4); /* table 4-1 */
	put32(bytes + 4, (u32)base + FLOATING);
	bytes[8] = FLOATING / 16;
	bytes[9] = 4;
	bytes[10] = checksum(bytes, FLOATING);
	len = FLOATING + build_table(bytes + FLOATING, cpus, signature, features);
	if (len > size)
		return 0;
	space_poke(memory, base, bytes, len);
	return len;
}
