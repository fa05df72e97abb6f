/* SPDX-License-Identifier: MIT */
/* The inside of a PC, for its files:
 *
 *   pc.c         the devices and their wiring
 *   pc_devices.c the list of devices: their state, reset, end
 *   pc_irq.c     interrupt lines          pc_memory.c  the map of memory
 *   pc_cards.c   network adapter, virtio devices
 *   pc_media.c   media that can be changed
 *   pc_drives.c  the controllers of drives      pc_display.c the display adapter
 *   pc_flash.c   flash for the firmware's variables
 *   pc_firmware.c tables and settings in place of firmware; fw_cfg for firmware
 *   pc_kernel.c  a Linux kernel that firmware starts */
#ifndef LIB_PC_H
#define LIB_PC_H

#include "lib/machine.h"

#define DEVICES_MAX 64
#define PC_PARTS_MAX (1 + 2 * DEVICES_MAX) /* the board, the devices, their PCI functions */

/* What every device can do, whatever its type. */
struct device_kind {
	void (*free)(void *device);
	void (*refresh)(void *device);      /* drive its lines; may be NULL */
	struct part (*part)(void *device);  /* may be NULL: it has no state of its own */
	void (*reset)(void *device);        /* RESET#; NULL: back to the state at power-on */
};

struct device {
	const struct device_kind *kind;
	void *device;
};

struct pc {
	struct vcpu *v;
	const struct vcpu_config *config;   /* while it is being built */
	char **error;
	struct device devices[DEVICES_MAX]; /* in the order in which they were built */
	unsigned ndevices;
	struct pic *pic;
	struct ioapic *ioapic; /* NULL: the processor has no local APIC to send messages to */
	struct pci_bus *pci;
	struct dma *dma;
	struct i440fx *bridge;
	struct piix *piix;
	struct ram *rom;       /* of the firmware, or NULL */
	struct fwcfg *fwcfg;   /* NULL: there is no firmware */
	struct disk *vars;     /* its variables: the file, the chip's memory; NULL: it has none */
	struct ram *vars_ram;
	bool vars_behind;      /* the file has not all that the chip has */
	struct uart *com[4];
	struct i8042 *i8042;
	struct acpi *acpi;
	struct acpi_tables *tables; /* room to build them in; NULL: there are none */
	struct pit *pit;
	struct vga *vga;       /* NULL: no display */
	struct virtio_net *virtio_net; /* NULL: there is none, as the others here */
	struct e1000 *e1000;
	struct ne2000 *ne2000;
	struct virtio_console *console;
	struct virtio_9p *share;
	struct {
		u8 in[VCPU_DRIVES];               /* the number of the medium in each drive */
		/* of a CD-ROM drive; of floppy drives, the controller and the place there */
		struct ata_drive *ata[VCPU_DRIVES];
		struct fdc *fdc;
		u8 place[VCPU_DRIVES];
	} media;
	/* Levels on the wires of the board. */
	u32 isa;               /* bit n: IRQ n, what the devices of the ISA bus drive */
	u32 isa_sound;         /* bit n: IRQ n, from the sound card, whose interrupt can be one that others have, too */
	u32 isa_pirq;          /* bit n: IRQ n, what the chipset drives because of a PIRQ that is routed there */
	u8 com_levels;         /* bit n: COM n + 1 wants its interrupt */
	u32 hpet_pins;         /* bit n: what the HPET drives on I/O APIC pin n */
	u32 pirq;              /* bit n: PIRQA# + n */
	bool pit_out, rtc_out, hpet_irq0, hpet_irq8, legacy;
	bool a20_keyboard, a20_fast;
	bool nmi_masked;       /* bit 7 of port 70h */
	bool unseen;           /* the guest has written to a screen that there is not, and that was said */
	u8 *fresh;             /* all devices at power-on, to reset them to */
};

/* ---- pc.c ---- */

void pc_output(struct pc *pc, enum vcpu_channel channel, const void *data, size_t len);

/* ---- pc_devices.c ---- */

/* Put DEVICE, just built, into the list, which owns it from then on. False: it is NULL. */
bool pc_add(struct pc *pc, const struct device_kind *kind, void *device);

/* Keep the state at power-on, for pc_reset. */
bool pc_remember_fresh(struct pc *pc);

/* The kind of a device whose functions are NAME_free, NAME_refresh and NAME_part. */
#define DEVICE_KIND(name) \
	static void name##_kind_free(void *device) { name##_free(device); } \
	static void name##_kind_refresh(void *device) { name##_refresh(device); } \
	static struct part name##_kind_part(void *device) { return name##_part(device); } \
	static const struct device_kind name##_kind = { name##_kind_free, name##_kind_refresh, name##_kind_part, NULL };

/* ---- pc_irq.c: the functions are for struct line; OWNER is the struct pc ---- */

enum { IRQ_TIMER = 0, IRQ_KEYBOARD = 1, IRQ_COM2 = 3, IRQ_COM1 = 4, IRQ_LPT1 = 7, IRQ_FLOPPY = 6, IRQ_RTC = 8,
	IRQ_MOUSE = 12, IRQ_FPU = 13, IRQ_IDE = 14 };
enum timer_wire { FROM_PIT, FROM_RTC, FROM_HPET0, FROM_HPET1, LEGACY };

void pc_isa_irq(void *owner, int n, bool level);    /* IRQ N, from a device of the ISA bus */
/* pin N of the I/O APIC, from the test device; the first 16 are IRQs */
void pc_test_irq(void *owner, int n, bool level);
void pc_sound_irq(void *owner, int n, bool level);  /* IRQ N, from the sound card */
void pc_pirq(void *owner, int n, bool level);       /* PIRQA# + N, from the PCI bus */
void pc_routed_irq(void *owner, int n, bool level); /* IRQ N, from PIRQs that the chipset routes there */
void pc_hpet_pin(void *owner, int n, bool level);   /* I/O APIC pin N */
void pc_timer_wire(void *owner, int n, bool level); /* N: enum timer_wire */
void pc_nmi_mask(void *owner, int n, bool level);   /* of the chip at port 70h */
/* A pulse on the NMI line of the board. False: it is masked. */
bool pc_nmi(struct pc *pc);

/* ---- pc_cards.c ---- */

bool pc_build_cards(struct pc *pc);
/* Input for one of them. */
int pc_cards_input(struct pc *pc, enum vcpu_channel channel, const void *data, size_t len);

/* ---- pc_drives.c ---- */

bool pc_build_drives(struct pc *pc);
/* Tell firmware which drives to start from, one by one: fw_cfg's file "bootorder". False: no memory. */
bool pc_describe_drives(struct pc *pc);

/* ---- pc_media.c ---- */

/* After pc_build_drives. False: no memory. */
bool pc_build_media(struct pc *pc);
int pc_media_input(struct pc *pc, const void *data, size_t len);

/* ---- pc_memory.c ---- */

#define ROM_BASE 0xc0000u
#define ROM_END 0x100000u
#define ROM_TABLES 0xe0000u /* without firmware: ACPI's */
#define EBDA 0x9fc00u       /* the last KiB of conventional memory is firmware's own */

bool pc_build_memory(struct vcpu *v);
void pc_drive_a20(struct pc *pc);

/* ---- pc_display.c ---- */

#define DISPLAY_SLOT 2 /* on the PCI bus */

/* The display adapter, if the configuration has one. After pc_build_memory: it lies over the hole at A0000h. */
bool pc_build_display(struct pc *pc);

/* ---- pc_flash.c ---- */

bool pc_build_flash(struct pc *pc);
/* The chip's file is as the chip, and on the host's disk. 0, or -1 with the machine's error text. */
int pc_flash_flush(struct pc *pc);
/* The chip's memory; NULL: there is none. */
const struct ram *pc_vars(const struct vcpu *v);

/* ---- pc_firmware.c ---- */

/* Set the chipset and the cards up, and write the tables that a system looks for. False: there is no room for them in
 * the guest's. */
bool pc_set_up(struct vcpu *v);
/* Where cards may have their memory: from here up to the APICs. */
u32 pc_card_memory(const struct vcpu *v);
/* Room for the tables, which are built again at each reset. False: no memory. */
bool pc_tables_new(struct pc *pc);
/* Fill the device that firmware asks about its machine. */
bool pc_describe(struct pc *pc);

/* ---- pc_kernel.c ---- */

/* Tell firmware about the kernel, if there is one. False: no memory, or *pc->error. */
bool pc_describe_kernel(struct pc *pc);
/* The fw_cfg file with the option ROM that starts the kernel; NULL: there is no kernel, or the firmware runs no such
 * ROM. */
const char *pc_kernel_rom(const struct pc *pc);

#endif
