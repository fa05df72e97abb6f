/* The PC: what is wired to what. It reads from top to bottom like a schematic.
 *
 *    physical memory                                       interrupts
 *      00000000  RAM                                         PIT OUT0 --+-(legacy)--> IRQ0 --+--> 8259 IR0     8259 INTR --> LINT0
 *      000A0000  nothing (no display adapter)                HPET 0  ---+                    +--> IOAPIC 2     IOAPIC ----> APIC bus
 *      000C0000  ROM: ACPI tables, two tiny routines         RTC ------+-(legacy)--> IRQ8
 *      00100000  RAM, up to C0000000                         HPET 1 ---+
 *      FEC00000  I/O APIC                                    i8042 --> IRQ1, IRQ12     COM1 --> IRQ4
 *      FED00000  HPET                                        ACPI SCI --> IRQ9         FERR# --> IRQ13
 *      FEE00000  local APIC (in the processor)
 *      FFFE0000  ROM again                                   IRQ n --> 8259 IRn and IOAPIC n, but IRQ0 --> IOAPIC 2
 *      100000000 RAM beyond 3 GiB */
#include <stdlib.h>
#include "io/acpi.h"
#include "io/debugport.h"
#include "io/hpet.h"
#include "io/i8042.h"
#include "io/ioapic.h"
#include "io/pic.h"
#include "io/pit.h"
#include "io/port92.h"
#include "io/rtc.h"
#include "io/uart.h"
#include "lib/machine.h"

#define LOW_END 0xa0000u      /* of conventional memory */
#define EBDA 0x9fc00u         /* firmware keeps the last KiB of it for itself */
#define ROM 0xc0000u
#define ROM_END 0x100000u
#define TABLES 0xe0000u       /* ACPI's, up to TABLES_END */
#define TABLES_END 0xff000u
#define IRET_STUB 0xfff53u    /* where the first PC's firmware has an IRET, too */
#define RESET_STUB 0xffff0u

/* A character at 115200 baud takes 87 us, which is 87,000 instructions of a guest that polls. This board's crystal is faster: 0.7 us. */
#define UART_CRYSTAL (128 * UART_HZ)

enum { IRQ_TIMER = 0, IRQ_KEYBOARD = 1, IRQ_COM1 = 4, IRQ_RTC = 8, IRQ_MOUSE = 12, IRQ_FPU = 13 };

struct pc {
	struct vcpu *v;
	struct pic *pic;
	struct ioapic *ioapic; /* NULL: the processor has no local APIC to send messages to */
	struct pit *pit;
	struct rtc *rtc;
	struct hpet *hpet;
	struct uart *com1;
	struct i8042 *i8042;
	struct port92 *port92;
	struct acpi *acpi;
	struct debugport *debugport;
	/* Levels on the wires of the board. */
	u32 isa;               /* bit n: IRQ n */
	u32 hpet_pins;         /* bit n: what the HPET drives on I/O APIC pin n */
	bool pit_out, rtc_out, hpet_irq0, hpet_irq8, legacy;
	bool a20_keyboard, a20_fast;
	u8 *fresh;             /* all devices at power-on, to reset them to */
};

static const struct field board_fields[] = {
	FIELD(struct pc, isa, U32),
	FIELD(struct pc, hpet_pins, U32),
	FIELD(struct pc, pit_out, BOOL),
	FIELD(struct pc, rtc_out, BOOL),
	FIELD(struct pc, hpet_irq0, BOOL),
	FIELD(struct pc, hpet_irq8, BOOL),
	FIELD(struct pc, legacy, BOOL),
	FIELD(struct pc, a20_keyboard, BOOL),
	FIELD(struct pc, a20_fast, BOOL),
	FIELD_END
};

/* ---- interrupt lines ---- */

static void drive_pin(struct pc *pc, int pin)
{
	int irq = pin == 2 ? IRQ_TIMER : pin;
	bool isa = pin < 16 && pin != 0 && (pc->isa >> irq & 1);

	if (pc->ioapic)
		ioapic_set_irq(pc->ioapic, pin, isa || (pc->hpet_pins >> pin & 1));
}

/* IRQ N of the ISA bus. */
static void isa_irq(void *owner, int n, bool level)
{
	struct pc *pc = owner;

	pc->isa = (pc->isa & ~(1u << n)) | (u32)level << n;
	pic_set_irq(pc->pic, n, level);
	drive_pin(pc, n == IRQ_TIMER ? 2 : n);
}

static void hpet_pin(void *owner, int n, bool level)
{
	struct pc *pc = owner;

	if (n < 0 || n >= IOAPIC_PINS)
		return;
	pc->hpet_pins = (pc->hpet_pins & ~(1u << n)) | (u32)level << n;
	drive_pin(pc, n);
}

/* In legacy replacement the HPET has the wires of the PIT and of the RTC (HPET specification 2.3.5). */
static void drive_timers(struct pc *pc)
{
	bool irq0 = pc->legacy ? pc->hpet_irq0 : pc->pit_out;
	bool irq8 = pc->legacy ? pc->hpet_irq8 : pc->rtc_out;

	if (irq0 != (pc->isa >> IRQ_TIMER & 1))
		isa_irq(pc, IRQ_TIMER, irq0);
	if (irq8 != (pc->isa >> IRQ_RTC & 1))
		isa_irq(pc, IRQ_RTC, irq8);
}

enum timer_wire { FROM_PIT, FROM_RTC, FROM_HPET0, FROM_HPET1, LEGACY };

static void timer_wire(void *owner, int n, bool level)
{
	struct pc *pc = owner;

	switch ((enum timer_wire)n) {
	case FROM_PIT: pc->pit_out = level; break;
	case FROM_RTC: pc->rtc_out = level; break;
	case FROM_HPET0: pc->hpet_irq0 = level; break;
	case FROM_HPET1: pc->hpet_irq8 = level; break;
	case LEGACY: pc->legacy = level; break;
	}
	drive_timers(pc);
}

static u8 acknowledge(void *owner)
{
	return pic_acknowledge(((struct pc *)owner)->pic);
}

static void end_of_interrupt(void *owner, u8 vector)
{
	ioapic_eoi(owner, vector);
}

/* ---- A20, reset, power ---- */

static void drive_a20(struct pc *pc)
{
	u64 mask = ((u64)1 << pc->v->model.physical_bits) - 1;

	if (!pc->a20_keyboard && !pc->a20_fast)
		mask &= ~(u64)0x100000;
	space_set_mask(&pc->v->mem, mask);
}

enum { A20_KEYBOARD, A20_FAST };

static void a20(void *owner, int n, bool level)
{
	struct pc *pc = owner;

	*(n == A20_KEYBOARD ? &pc->a20_keyboard : &pc->a20_fast) = level;
	drive_a20(pc);
}

static void reset(void *owner, int n, bool level)
{
	struct pc *pc = owner;

	(void)n;
	if (!level)
		return;
	pc->v->reset_wanted = true;
	machine_attention(pc->v);
}

static void poweroff(void *owner, int n, bool level)
{
	struct pc *pc = owner;

	(void)n;
	if (!level)
		return;
	pc->v->off = true;
	machine_attention(pc->v);
}

/* ---- output ---- */

static void com1_out(void *owner, const void *data, size_t len)
{
	struct vcpu *v = ((struct pc *)owner)->v;

	if (v->output)
		v->output(v->user, VCPU_COM1, data, len);
}

static void debug_out(void *owner, const void *data, size_t len)
{
	struct vcpu *v = ((struct pc *)owner)->v;

	if (v->output)
		v->output(v->user, VCPU_DEBUGCON, data, len);
}

static void debug_exit(void *owner, u32 value)
{
	struct vcpu *v = ((struct pc *)owner)->v;

	v->exit_wanted = true;
	v->exit_code = value;
	machine_attention(v);
}

/* Port F0h: a write takes the coprocessor's interrupt back (ISP, "Coprocessor error"). */
static void fpu_busy_write(void *owner, u64 offset, unsigned size, u64 value)
{
	(void)offset, (void)size, (void)value;
	isa_irq(owner, IRQ_FPU, false);
}

static const struct device_ops fpu_busy_ops = { .write = fpu_busy_write, .max = 1 };
static const struct device_ops nothing_ops = { .max = 8 };

/* ---- memory ---- */

u64 pc_low_ram(const struct vcpu *v)
{
	return v->memory < RAM_LOW_MAX ? v->memory : RAM_LOW_MAX;
}

unsigned pc_memory_map(const struct vcpu *v, struct memory_region out[MEMORY_REGIONS])
{
	u64 low = pc_low_ram(v);
	unsigned n = 0;

	out[n++] = (struct memory_region){ 0, EBDA, true };
	out[n++] = (struct memory_region){ EBDA, LOW_END - EBDA, false };
	out[n++] = (struct memory_region){ TABLES, ROM_END - TABLES, false };
	if (low > ROM_END)
		out[n++] = (struct memory_region){ ROM_END, low - ROM_END, true };
	if (v->memory > low)
		out[n++] = (struct memory_region){ 4 * GiB, v->memory - low, true };
	return n;
}

u64 pc_rsdp(const struct vcpu *v)
{
	return v->pc && v->pc->ioapic ? TABLES : 0;
}

/* The ROM: it is RAM that the firmware has filled and locked. We are the firmware. */
static bool fill_rom(struct vcpu *v)
{
	static const u8 iret = 0xcf;
	static const u8 halt[] = { 0xfa, 0xf4, 0xeb, 0xfc }; /* cli; hlt; jmp to the cli: no boot image, no firmware, nothing to do */

	space_poke(&v->mem, IRET_STUB, &iret, sizeof iret);
	space_poke(&v->mem, RESET_STUB, halt, sizeof halt);
	return !v->pc->ioapic || acpi_tables_build(&v->mem, TABLES, TABLES_END - TABLES, 1);
}

static bool build_memory(struct vcpu *v)
{
	struct ram *ram = v->blocks[0].ram;
	u64 low = pc_low_ram(v), top = v->model.physical_bits < 32 ? (u64)1 << v->model.physical_bits : 4 * GiB;

	if (space_add_ram(&v->mem, "ram", 0, low, ram, 0, false) < 0)
		return false;
	if (v->memory > low && space_add_ram(&v->mem, "ram above 4 GiB", 4 * GiB, v->memory - low, ram, low, false) < 0)
		return false;
	if (!fill_rom(v))
		return false;
	if (space_add_device(&v->mem, "no display", LOW_END, ROM - LOW_END, &nothing_ops, NULL) < 0 ||
			space_add_ram(&v->mem, "rom", ROM, ROM_END - ROM, ram, ROM, true) < 0)
		return false;
	return top == ROM_END || space_add_ram(&v->mem, "rom at the top", top - 0x20000, 0x20000, ram, ROM_END - 0x20000, true) >= 0;
}

/* ---- the board ---- */

static bool build_devices(struct pc *pc)
{
	struct vcpu *v = pc->v;
	struct cpu *cpu = v->cpu;
	struct apic *apic = cpu->apic;
	struct space *io = &v->io, *mem = &v->mem;
	struct clock *clock = &v->clock;
	const struct log *log = &v->log;
	struct line intr = apic ? (struct line){ apic_lint, apic, 0 } : (struct line){ cpu_intr, cpu, 0 };
	struct line irq1 = { isa_irq, pc, IRQ_KEYBOARD }, irq12 = { isa_irq, pc, IRQ_MOUSE }, irq4 = { isa_irq, pc, IRQ_COM1 };
	struct line sci = { isa_irq, pc, ACPI_SCI_IRQ };
	struct line pit_out = { timer_wire, pc, FROM_PIT }, rtc_out = { timer_wire, pc, FROM_RTC };
	struct line hpet0 = { timer_wire, pc, FROM_HPET0 }, hpet1 = { timer_wire, pc, FROM_HPET1 }, legacy = { timer_wire, pc, LEGACY };
	struct line pins = { hpet_pin, pc, 0 }, resets = { reset, pc, 0 }, off = { poweroff, pc, 0 };
	struct line no_nmi_source = { 0 };

	pc->pic = pic_new(io, intr, log);
	if (!pc->pic)
		return false;
	cpu->acknowledge = acknowledge;
	cpu->acknowledge_owner = pc;
	cpu->ferr = (struct line){ isa_irq, pc, IRQ_FPU };
	if (apic) {
		pc->ioapic = ioapic_new(mem, 1, apic_message, apic, log);
		if (!pc->ioapic)
			return false;
		apic_set_eoi(apic, end_of_interrupt, pc->ioapic);
		pc->hpet = hpet_new(mem, clock, pins, hpet0, hpet1, legacy, log);
		if (!pc->hpet)
			return false;
	}
	pc->pit = pit_new(io, clock, pit_out, log);
	pc->rtc = rtc_new(io, clock, rtc_out, no_nmi_source, v->rtc, v->memory, pc_low_ram(v), log);
	pc->com1 = uart_new(io, clock, "com1", 0x3f8, irq4, com1_out, pc, log);
	pc->i8042 = i8042_new(io, clock, irq1, irq12, (struct line){ a20, pc, A20_KEYBOARD }, resets, log);
	pc->port92 = port92_new(io, (struct line){ a20, pc, A20_FAST }, resets, log);
	pc->acpi = acpi_new(io, clock, sci, off, resets, log);
	pc->debugport = debugport_new(io, debug_out, debug_exit, pc, log);
	if (!pc->pit || !pc->rtc || !pc->com1 || !pc->i8042 || !pc->port92 || !pc->acpi || !pc->debugport)
		return false;
	uart_set_crystal(pc->com1, UART_CRYSTAL);
	return space_add_device(io, "coprocessor busy", 0xf0, 1, &fpu_busy_ops, pc) >= 0;
}

unsigned pc_parts(struct pc *pc, struct part out[], unsigned max)
{
	unsigned n = 0;

	if (max < 10)
		return 0;
	out[n++] = (struct part){ "board", pc, board_fields, NULL };
	out[n++] = pic_part(pc->pic);
	if (pc->ioapic)
		out[n++] = ioapic_part(pc->ioapic);
	out[n++] = pit_part(pc->pit);
	if (pc->hpet)
		out[n++] = hpet_part(pc->hpet);
	out[n++] = uart_part(pc->com1);
	out[n++] = i8042_part(pc->i8042);
	out[n++] = port92_part(pc->port92);
	out[n++] = acpi_part(pc->acpi);
	out[n++] = rtc_part(pc->rtc); /* last: pc_reset leaves it out */
	return n;
}

#define DEVICES 10

/* Keep the state at power-on, one part behind the other. */
static bool remember_fresh(struct pc *pc)
{
	struct part parts[DEVICES];
	unsigned n = pc_parts(pc, parts, DEVICES);
	size_t size = 0;
	u8 *at;

	for (unsigned i = 0; i < n; i++)
		size += part_size(&parts[i]);
	at = pc->fresh = malloc(size);
	if (!at)
		return false;
	for (unsigned i = 0; i < n; at += part_size(&parts[i++]))
		part_save(&parts[i], at);
	return true;
}

bool pc_new(struct vcpu *v)
{
	struct pc *pc = v->pc = calloc(1, sizeof *pc);

	if (!pc)
		return false;
	pc->v = v;
	if (!build_devices(pc) || !build_memory(v))
		return false;
	pc_loaded(pc); /* drive every line once */
	return remember_fresh(pc);
}

void pc_free(struct pc *pc)
{
	if (!pc)
		return;
	if (pc->debugport)
		debugport_free(pc->debugport);
	if (pc->acpi)
		acpi_free(pc->acpi);
	if (pc->port92)
		port92_free(pc->port92);
	if (pc->i8042)
		i8042_free(pc->i8042);
	if (pc->com1)
		uart_free(pc->com1);
	if (pc->hpet)
		hpet_free(pc->hpet);
	if (pc->rtc)
		rtc_free(pc->rtc);
	if (pc->pit)
		pit_free(pc->pit);
	if (pc->ioapic)
		ioapic_free(pc->ioapic);
	if (pc->pic)
		pic_free(pc->pic);
	free(pc->fresh);
	free(pc);
}

/* The RTC runs on its battery: RESET# only takes back its interrupts (MC146818A data sheet, "RESET"). */
static void reset_rtc(struct vcpu *v)
{
	u64 b;

	space_write(&v->io, 0x70, 1, 0x0b);
	b = space_read(&v->io, 0x71, 1);
	space_write(&v->io, 0x71, 1, b & 0x87);
	space_write(&v->io, 0x70, 1, 0x0c);
	space_read(&v->io, 0x71, 1);
	space_write(&v->io, 0x70, 1, 0x0d);
}

void pc_reset(struct vcpu *v)
{
	struct pc *pc = v->pc;
	struct part parts[DEVICES];
	unsigned n = pc_parts(pc, parts, DEVICES);
	const u8 *at = pc->fresh;

	reset_rtc(v);
	for (unsigned i = 0; i < n - 1; at += part_size(&parts[i++]))
		part_load(&parts[i], at, part_size(&parts[i]), NULL);
	clock_sort(&v->clock);
	pc_loaded(pc);
}

void pc_loaded(struct pc *pc)
{
	drive_a20(pc);
	pit_refresh(pc->pit);
	rtc_refresh(pc->rtc);
	if (pc->hpet)
		hpet_refresh(pc->hpet);
	uart_refresh(pc->com1);
	i8042_refresh(pc->i8042);
	port92_refresh(pc->port92);
	acpi_refresh(pc->acpi);
	pic_refresh(pc->pic);
	if (pc->ioapic)
		ioapic_refresh(pc->ioapic);
}

int pc_input(struct vcpu *v, enum vcpu_channel channel, const void *data, size_t len)
{
	struct pc *pc = v->pc;

	switch (channel) {
	case VCPU_COM1:
		return uart_input(pc->com1, data, len) ? 0 : machine_error(v, "COM1 has no room for %zu bytes more", len);
	case VCPU_KEYBOARD:
		return i8042_keyboard_input(pc->i8042, data, len) ? 0 : machine_error(v, "the keyboard has no room for %zu bytes more", len);
	case VCPU_POWER:
		acpi_power_button(pc->acpi);
		return 0;
	default:
		break;
	}
	return machine_error(v, "channel %d takes no input", (int)channel);
}
