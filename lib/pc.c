/* SPDX-License-Identifier: MIT */
/* The PC: its devices and their wiring, from top to bottom like a schematic.
 *
 *    physical memory                                       interrupts
 *      00000000  RAM                                         PIT OUT0 --+-(legacy)--> IRQ0 --+--> 8259 IR0     8259 INTR --> LINT0
 *      000A0000  VGA, nothing without display, or SMRAM      HPET 0  ---+                    +--> IOAPIC 2     IOAPIC ----> APIC bus
 *      000C0000  ROM, or RAM in its place (host bridge)      RTC ------+-(legacy)--> IRQ8
 *      00100000  RAM, up to C0000000                         HPET 1 ---+
 *      FEC00000  I/O APIC                                    i8042 --> IRQ1, IRQ12     COM1 --> IRQ4
 *      FED00000  HPET                                        ACPI SCI --> IRQ9         FERR# --> IRQ13
 *      FEE00000  local APIC (in the processor)               PCI INTA#..D# --swizzle--> PIRQA#..D# --> IOAPIC 16..19
 *      FFFC0000  ROM: firmware (its last 128 KiB also        PIRQA#..D# --PIIX3--> an IRQ of its choice
 *                at E0000)                                   PCI MSI-X --> APIC bus
 *      100000000 RAM beyond 3 GiB                            IRQ n --> 8259 IRn and IOAPIC n, but IRQ0 --> IOAPIC 2
 *
 *    PCI slots of bus 0
 *      0  host bridge   1  ISA bridge, IDE, power management   2  display adapter   3  network adapter   4..  virtio, AHCI */
#include <stdlib.h>
#include "cpu/system/mca.h"
#include "io/chipset/acpi.h"
#include "io/serial/debugport.h"
#include "io/chipset/exitports.h"
#include "io/chipset/testdev.h"
#include "io/chipset/dma.h"
#include "io/firmware/fwcfg.h"
#include "io/timer/hpet.h"
#include "io/chipset/i440fx.h"
#include "io/input/i8042.h"
#include "io/chipset/ioapic.h"
#include "io/serial/lpt.h"
#include "io/firmware/mptable.h"
#include "io/chipset/pci.h"
#include "io/chipset/pic.h"
#include "io/chipset/piix.h"
#include "io/timer/pit.h"
#include "io/chipset/port92.h"
#include "io/timer/rtc.h"
#include "io/sound/sb16.h"
#include "io/sound/sound.h"
#include "io/serial/uart.h"
#include "lib/pc.h"

/* A character at 115200 baud takes 87 us, which is 87,000 instructions of a guest that polls. This board's crystal is
 * faster: 0.7 us. */
#define UART_CRYSTAL (128 * UART_HZ)

/* ---- wires that end in the processor or outside the machine ---- */

static u8 acknowledge(void *owner)
{
	return pic_acknowledge(((struct pc *)owner)->pic);
}

static void end_of_interrupt(void *owner, u8 vector)
{
	ioapic_eoi(owner, vector);
}

enum { A20_KEYBOARD, A20_FAST };

static void a20(void *owner, int n, bool level)
{
	struct pc *pc = owner;

	*(n == A20_KEYBOARD ? &pc->a20_keyboard : &pc->a20_fast) = level;
	pc_drive_a20(pc);
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

void pc_output(struct pc *pc, enum vcpu_channel channel, const void *data, size_t len)
{
	if (!pc->v->output)
		return;
	pc->v->output(pc->v->user, channel, data, len);
	machine_called(pc->v);
}

static void com1_out(void *owner, const void *data, size_t len) { pc_output(owner, VCPU_COM1, data, len); }
static void com2_out(void *owner, const void *data, size_t len) { pc_output(owner, VCPU_COM2, data, len); }
static void com3_out(void *owner, const void *data, size_t len) { pc_output(owner, VCPU_COM3, data, len); }
static void com4_out(void *owner, const void *data, size_t len) { pc_output(owner, VCPU_COM4, data, len); }
static void sound_out(void *owner, const void *data, size_t len) { pc_output(owner, VCPU_SOUND, data, len); }
static void lpt1_out(void *owner, const void *data, size_t len) { pc_output(owner, VCPU_LPT1, data, len); }
static void debug_out(void *owner, const void *data, size_t len) { pc_output(owner, VCPU_DEBUGCON, data, len); }
static void firmware_out(void *owner, const void *data, size_t len) { pc_output(owner, VCPU_FIRMWARE, data, len); }

static void debug_exit(void *owner, u32 value)
{
	struct vcpu *v = ((struct pc *)owner)->v;

	v->exit_wanted = true;
	v->exit_code = value;
	machine_attention(v);
}

/* Port F0h: a write takes the coprocessor's interrupt back (ISP, "Coprocessor error"), and asserts IGNNE# for as long
 * as the error lasts (SDM vol. 1, D.2.1.2). So it is asserted where FERR#, which makes the interrupt, has made none;
 * the processor asks only while it asserts FERR#. */
static bool ignne(void *owner) { return !(((struct pc *)owner)->isa >> IRQ_FPU & 1); }

static void fpu_busy_write(void *owner, u64 offset, unsigned size, u64 value)
{
	(void)offset, (void)size, (void)value;
	pc_isa_irq(owner, IRQ_FPU, false);
}

static const struct device_ops fpu_busy_ops = { .write = fpu_busy_write, .max = 1 };

/* ---- the board ---- */

DEVICE_KIND(pic)
DEVICE_KIND(ioapic)
DEVICE_KIND(hpet)
DEVICE_KIND(pit)
DEVICE_KIND(uart)
DEVICE_KIND(lpt)
DEVICE_KIND(sb16)
DEVICE_KIND(sound)
DEVICE_KIND(i8042)
DEVICE_KIND(port92)
DEVICE_KIND(dma)
DEVICE_KIND(acpi)
DEVICE_KIND(i440fx)
DEVICE_KIND(piix)

/* The bus has the parts of all functions; pc_parts asks for them. */
static void pci_kind_free(void *device) { pci_free(device); }
static void pci_kind_refresh(void *device) { pci_refresh(device); }
static const struct device_kind pci_kind = { pci_kind_free, pci_kind_refresh, NULL, NULL };

static void rtc_kind_free(void *device) { rtc_free(device); }
static void rtc_kind_refresh(void *device) { rtc_refresh(device); }
static struct part rtc_kind_part(void *device) { return rtc_part(device); }
static void rtc_kind_reset(void *device) { rtc_reset(device); }
static const struct device_kind rtc_kind = { rtc_kind_free, rtc_kind_refresh, rtc_kind_part, rtc_kind_reset };

static void fwcfg_kind_free(void *device) { fwcfg_free(device); }
static struct part fwcfg_kind_part(void *device) { return fwcfg_part(device); }
static const struct device_kind fwcfg_kind = { fwcfg_kind_free, NULL, fwcfg_kind_part, NULL };

static void debugport_kind_free(void *device) { debugport_free(device); }
static const struct device_kind debugport_kind = { debugport_kind_free, NULL, NULL, NULL };

static struct line isa(struct pc *pc, int irq)
{
	return (struct line){ pc_isa_irq, pc, irq };
}

static struct line timer(struct pc *pc, enum timer_wire wire)
{
	return (struct line){ pc_timer_wire, pc, wire };
}

static bool build_interrupts(struct pc *pc)
{
	struct vcpu *v = pc->v;
	struct cpu *cpu = v->cpu;
	struct apic *apic = cpu->apic;
	const struct log *log = &v->log;
	struct line intr = apic ? (struct line){ apic_lint, apic, 0 } : (struct line){ cpu_intr, cpu, 0 };
	struct line pirq = { pc_pirq, pc, 0 };

	if (!pc_add(pc, &pic_kind, pc->pic = pic_new(&v->io, intr, log)))
		return false;
	cpu->acknowledge = acknowledge;
	cpu->acknowledge_owner = pc;
	cpu->ferr = isa(pc, IRQ_FPU);
	cpu->ignne = ignne;
	cpu->ignne_owner = pc;
	if (apic) {
		if (!pc_add(pc, &ioapic_kind,
			    pc->ioapic = ioapic_new(&v->mem, mptable_ioapic_id(v->processors), apic_message, apic)))
			return false;
		for (unsigned i = 0; i < cpu->all->count; i++)
			apic_set_eoi(cpu->all->cpu[i]->apic, end_of_interrupt, pc->ioapic);
	}
	return pc_add(pc, &pci_kind, pc->pci = pci_new(&v->io, &v->mem, pirq, apic ? apic_message : NULL, apic)) &&
		space_add_device(&v->io, "coprocessor busy", 0xf0, 1, &fpu_busy_ops, pc) >= 0;
}

static bool build_timers(struct pc *pc)
{
	struct vcpu *v = pc->v;
	struct line pins = { pc_hpet_pin, pc, 0 }, nmi_mask = { pc_nmi_mask, pc, 0 };

	return (!pc->ioapic || pc_add(pc, &hpet_kind,
				      hpet_new(&v->mem, &v->clock, pins, timer(pc, FROM_HPET0), timer(pc, FROM_HPET1),
					       timer(pc, LEGACY)))) &&
	       pc_add(pc, &pit_kind, pc->pit = pit_new(&v->io, &v->clock, timer(pc, FROM_PIT))) &&
	       pc_add(pc, &rtc_kind,
		      rtc_new(&v->io, &v->clock, timer(pc, FROM_RTC), nmi_mask, v->rtc, v->memory, pc_low_ram(v)));
}

/* COM1 and COM3 share an interrupt, COM2 and COM4 another one. */
static void com_irq(void *owner, int n, bool level)
{
	struct pc *pc = owner;

	pc->com_levels = (u8)((pc->com_levels & ~(1u << n)) | (unsigned)level << n);
	pc_isa_irq(pc, n & 1 ? IRQ_COM2 : IRQ_COM1, pc->com_levels & (n & 1 ? 0x0a : 0x05));
}

static bool build_serial(struct pc *pc)
{
	static const struct { const char *name; u16 base; void (*out)(void *owner, const void *data, size_t len);
		} ports[] = {
		{ "com1", 0x3f8, com1_out }, { "com2", 0x2f8, com2_out }, { "com3", 0x3e8, com3_out },
			{ "com4", 0x2e8, com4_out },
	};
	struct vcpu *v = pc->v;

	for (unsigned i = 0; i < ARRAY_LEN(ports); i++) {
		struct line irq = { com_irq, pc, (int)i };

		pc->com[i] = uart_new(&v->io, &v->clock, ports[i].name, ports[i].base, irq, ports[i].out, pc);
		if (!pc_add(pc, &uart_kind, pc->com[i]))
			return false;
		uart_set_crystal(pc->com[i], UART_CRYSTAL);
		if (pc->config->serial_instant)
			uart_set_instant(pc->com[i]);
	}
	return pc_add(pc, &lpt_kind, lpt_new(&v->io, &v->clock, 0x378, isa(pc, IRQ_LPT1), lpt1_out, pc));
}

static bool build_isa(struct pc *pc)
{
	struct vcpu *v = pc->v;
	struct space *io = &v->io;
	struct clock *clock = &v->clock;
	const struct log *log = &v->log;
	struct line resets = { reset, pc, 0 };

	if (!pc_add(pc, &dma_kind, pc->dma = dma_new(io, &v->mem)) || !build_serial(pc))
		return false;
	return pc_add(pc, &i8042_kind, pc->i8042 = i8042_new(io, clock, isa(pc, IRQ_KEYBOARD), isa(pc, IRQ_MOUSE),
				(struct line){ a20, pc, A20_KEYBOARD }, resets, log)) &&
		pc_add(pc, &port92_kind, port92_new(io, (struct line){ a20, pc, A20_FAST }, resets)) &&
		pc_add(pc, &debugport_kind, debugport_new(io, debug_out, firmware_out, debug_exit, pc));
}

static bool build_sound(struct pc *pc)
{
	struct vcpu *v = pc->v;
	struct line irq = { pc_sound_irq, pc, 0 }; /* it says which one */
	struct sb16 *card;

	if (!pc->config->sound)
		return true;
	card = sb16_new(&v->io, &v->clock, pc->dma, irq, &v->log);
	return pc_add(pc, &sb16_kind, card) &&
	       pc_add(pc, &sound_kind, sound_new(&v->clock, pc->pit, card, sound_out, pc));
}

DEVICE_KIND(testdev)
DEVICE_KIND(exitports)

static bool build_test_ports(struct pc *pc)
{
	struct line irq = { pc_test_irq, pc, 0 } /* it says which one */, off = { poweroff, pc, 0 };

	return !pc->config->test_ports || (pc_add(pc, &testdev_kind, testdev_new(&pc->v->io, &pc->v->mem, irq)) &&
		pc_add(pc, &exitports_kind, exitports_new(&pc->v->io, off, debug_exit, pc)));
}

static bool build_pci(struct pc *pc)
{
	struct vcpu *v = pc->v;
	const struct log *log = &v->log;
	struct line irq = { pc_routed_irq, pc, 0 }, resets = { reset, pc, 0 }, off = { poweroff, pc, 0 };
	struct line smi = { cpu_smi, v->cpu, 0 };

	if (!pc_add(pc, &i440fx_kind, pc->bridge = i440fx_new(pc->pci, &v->mem, v->blocks[0].ram, pc->rom)))
		return false;
	v->cpu->smiact = (struct line){ i440fx_smiact, pc->bridge, 0 };
	return pc_add(pc, &piix_kind, pc->piix = piix_new(pc->pci, irq, resets)) &&
	       pc_add(pc, &acpi_kind,
		      pc->acpi = acpi_new(&v->io, pc->pci, &v->clock, isa(pc, ACPI_SCI_IRQ), smi, off, log));
}

static bool build_firmware(struct pc *pc)
{
	struct vcpu *v = pc->v;

	return pc_tables_new(pc) &&
	       (!pc->rom || (pc_add(pc, &fwcfg_kind, pc->fwcfg = fwcfg_new(&v->io, &v->mem)) && pc_describe(pc)));
}

bool pc_new(struct vcpu *v, const struct vcpu_config *config, char **error)
{
	struct pc *pc = v->pc = calloc(1, sizeof *pc);
	bool built;

	if (!pc)
		return false;
	pc->v = v;
	pc->config = config;
	pc->error = error;
	built = pc_build_memory(v) && pc_build_flash(pc) && build_interrupts(pc) && build_pci(pc) && build_timers(pc) &&
		build_isa(pc) && build_sound(pc) && pc_build_drives(pc) && pc_build_media(pc) && build_test_ports(pc) &&
		pc_build_cards(pc) && pc_build_display(pc) && build_firmware(pc);
	pc->config = NULL;
	pc->error = NULL;
	if (!built)
		return false;
	pc_loaded(pc); /* drive every line once */
	return pc_remember_fresh(pc) && space_reserve(&v->mem, RANGES_SPARE) && space_reserve(&v->io, RANGES_SPARE);
}

static int serial_input(struct vcpu *v, unsigned n, const void *data, size_t len)
{
	return uart_input(v->pc->com[n], data, len)
		       ? 0
		       : machine_error(v, "COM%u has no room for %zu bytes more", n + 1, len);
}

enum { MOUSE_MAX = 4096 };

static int mouse_input(struct vcpu *v, const void *data, size_t len)
{
	struct vcpu_mouse mouse;

	if (len % sizeof mouse || len > MOUSE_MAX * sizeof mouse)
		return machine_error(v, "%zu bytes are no whole number of struct vcpu_mouse, or more than %d", len,
				     MOUSE_MAX);
	for (size_t done = 0; done < len; done += sizeof mouse) {
		memcpy(&mouse, (const char *)data + done, sizeof mouse);
		i8042_mouse_input(v->pc->i8042, mouse.dx, mouse.dy, mouse.wheel, (u8)mouse.buttons);
	}
	return 0;
}

static int machine_check_input(struct vcpu *v, const void *data, size_t len)
{
	const struct cpus *all = v->cpu->all;
	struct vcpu_machine_check check;
	const char *why;

	if (len != sizeof check)
		return machine_error(v, "%zu bytes are no struct vcpu_machine_check", len);
	memcpy(&check, data, sizeof check);
	if (check.processor >= all->count)
		return machine_error(v, "there are %u processors", all->count);
	why = mca_report(all->cpu[check.processor], &(struct machine_check){ check.bank, check.status, check.addr,
			 check.misc, check.mcg_status }, check.everywhere);
	return why ? machine_error(v, "%s", why) : 0;
}

_Static_assert(VCPU_COM3 == VCPU_COM2 + 1 && VCPU_COM4 == VCPU_COM2 + 2, "ports in order");

int pc_input(struct vcpu *v, enum vcpu_channel channel, const void *data, size_t len)
{
	struct pc *pc = v->pc;

	switch (channel) {
	case VCPU_COM1:
		return serial_input(v, 0, data, len);
	case VCPU_COM2: case VCPU_COM3: case VCPU_COM4:
		return serial_input(v, channel - VCPU_COM2 + 1, data, len);
	case VCPU_KEYBOARD:
		return i8042_keyboard_input(pc->i8042, data, len)
			       ? 0
			       : machine_error(v, "the keyboard has no room for %zu bytes more", len);
	case VCPU_MOUSE:
		return mouse_input(v, data, len);
	case VCPU_POWER:
		acpi_power_button(pc->acpi);
		return 0;
	case VCPU_NMI:
		return pc_nmi(pc) ? 0 : machine_error(v, "bit 7 of port 70h masks the NMI");
	case VCPU_MACHINE_CHECK:
		return machine_check_input(v, data, len);
	case VCPU_RESET:
		return machine_reset(v, NULL) ? 0 : machine_error(v, "the boot image cannot be loaded again");
	case VCPU_MEDIUM:
		return pc_media_input(pc, data, len);
	default:
		return pc_cards_input(pc, channel, data, len);
	}
}
