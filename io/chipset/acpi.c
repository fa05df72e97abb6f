/* SPDX-License-Identifier: MIT */
/* Power management of the 82371AB (Intel 82371AB data sheet; ACPI specification 6.x, chapter 4): PM1, PM timer, SMI
 * port, SMBus. Limits: acpi.h. */
#include <stdlib.h>
#include "io/chipset/acpi.h"
#include "io/chipset/pci.h"

enum {
	PM1_STATUS = 0, PM1_ENABLE = 2, PM1_CONTROL = 4, PM_TIMER = 8, GLOBAL_CONTROL = 0x28, DEVICE_CONTROL = 0x2c,
		PM_SIZE = 64,
	STATUS_TIMER = 0x0001, STATUS_POWER_BUTTON = 0x0100, STATUS_RTC = 0x0400, STATUS_WAKE = 0x8000,
	STATUS_ALL = 0x8731, /* what can be cleared: wake, RTC, sleep and power button, global, bus master, timer */
	ENABLE_ALL = 0x0721,
	CONTROL_SCI = 0x0001, CONTROL_KEPT = 0x1c03, CONTROL_SLP_TYP = 0x1c00, CONTROL_SLP_EN = 0x2000,
	TIMER_TOP = 31, /* TMR_STS is set when this bit of the timer changes */
	SMI_ENABLE = 1, GLOBAL_KEPT = 0x0403ff07,
	DEVACTB = 0x58, APMC_ENABLE = 1 << 25, PM_DECODED = 1, SMBBASE = 0x90, SMBHSTCFG = 0xd2,
	SMB_STATUS = 0, SMB_CONTROL = 2, SMB_SIZE = 16, SMB_START = 0x40, SMB_DEVICE_ERROR = 0x04, SMB_CLEARABLE = 0x1e,
};

struct acpi {
	u16 status, enable, control;
	u64 checked;   /* virtual ns up to which the timer's status is up to date */
	u8 smi[2];     /* ports B2h, B3h as written */
	u32 global, devices; /* GLBCTL, DEVCTL */
	u8 smb[SMB_SIZE];
	bool off;      /* S5 was entered */
	struct event carry;
	struct pci_function pci;
	struct window { u16 at; int range; } pm, smbus; /* derived: where the registers are now, 0: nowhere */
	struct {
		struct space *ports;
		struct clock *clock;
		struct line sci, smi, poweroff;
		void (*moved)(void *owner);
		void *owner;
		const struct log *log;
	} wire;
};

static const struct field acpi_fields[] = {
	FIELD(struct acpi, status, U16),
	FIELD(struct acpi, enable, U16),
	FIELD(struct acpi, control, U16),
	FIELD(struct acpi, checked, U64),
	FIELDS(struct acpi, smi, U8),
	FIELD(struct acpi, global, U32),
	FIELD(struct acpi, devices, U32),
	FIELDS(struct acpi, smb, U8),
	FIELD(struct acpi, off, BOOL),
	FIELD(struct acpi, carry, EVENT),
	FIELD_END
};

static u64 timer_at(u64 ns)
{
	return clock_ticks(ns, ACPI_PM_HZ);
}

static void catch_up(struct acpi *acpi)
{
	u64 now = acpi->wire.clock->now;

	if (timer_at(now) >> TIMER_TOP != timer_at(acpi->checked) >> TIMER_TOP)
		acpi->status |= STATUS_TIMER;
	acpi->checked = now;
}

static void acpi_drive(const struct acpi *acpi)
{
	line_set(&acpi->wire.sci, (acpi->control & CONTROL_SCI) && (acpi->status & acpi->enable));
}

static void acpi_update(struct acpi *acpi)
{
	u64 next = ((timer_at(acpi->wire.clock->now) >> TIMER_TOP) + 1) << TIMER_TOP;
	bool wait = (acpi->enable & ~acpi->status & STATUS_TIMER) && next < timer_at(CLOCK_NEVER - 1);

	clock_arm(acpi->wire.clock, &acpi->carry, wait ? clock_ns(next, ACPI_PM_HZ) : CLOCK_NEVER);
	acpi_drive(acpi);
}

static void carry(void *owner, u64 late)
{
	(void)late;
	catch_up(owner);
	acpi_update(owner);
}

/*  15   14  13      12..10   9..3  2        1       0
 *  0    0   SLP_EN  SLP_TYP  0     GBL_RLS  BM_RLD  SCI_EN  */
static void write_control(struct acpi *acpi, u16 value)
{
	unsigned type = (value & CONTROL_SLP_TYP) >> 10;

	acpi->control = value & CONTROL_KEPT;
	if (!(value & CONTROL_SLP_EN))
		return;
	if (type == ACPI_S5_TYPE) {
		acpi->off = true;
		line_set(&acpi->wire.poweroff, true);
	} else {
		log_line(acpi->wire.log, "acpi: sleep type %u is not offered", type);
		acpi->status |= STATUS_WAKE; /* back at once */
	}
}

/* The first instant at which the timer reads otherwise, or, if nobody looks at it, the status. */
static u64 steady_until(const struct acpi *acpi, bool timer)
{
	unsigned shift = timer ? 0 : TIMER_TOP;
	u64 next = ((timer_at(acpi->wire.clock->now) >> shift) + 1) << shift;

	return next < timer_at(CLOCK_NEVER - 1) ? clock_ns(next, ACPI_PM_HZ) : CLOCK_NEVER;
}

static u64 read_pm(void *owner, u64 offset, unsigned size)
{
	struct acpi *acpi = owner;
	u8 image[PM_SIZE] = { 0 };

	catch_up(acpi);
	clock_steady(acpi->wire.clock, steady_until(acpi, offset + size > PM_TIMER && offset < PM_TIMER + 4));
	put16(&image[PM1_STATUS], acpi->status);
	put16(&image[PM1_ENABLE], acpi->enable);
	put16(&image[PM1_CONTROL], acpi->control);
	put32(&image[PM_TIMER], (u32)timer_at(acpi->wire.clock->now));
	put32(&image[GLOBAL_CONTROL], acpi->global);
	put32(&image[DEVICE_CONTROL], acpi->devices);
	return get_size(&image[offset], size);
}

/* Registers may be written in any width that is aligned: lay the bytes over what is there. */
static void write_pm(void *owner, u64 offset, unsigned size, u64 value)
{
	struct acpi *acpi = owner;
	u8 image[PM_SIZE] = { 0 };

	catch_up(acpi);
	put16(&image[PM1_ENABLE], acpi->enable);
	put16(&image[PM1_CONTROL], acpi->control);
	put32(&image[GLOBAL_CONTROL], acpi->global);
	put32(&image[DEVICE_CONTROL], acpi->devices);
	put_size(&image[offset], size, value);
	acpi->global = get32(&image[GLOBAL_CONTROL]) & GLOBAL_KEPT;
	acpi->devices = get32(&image[DEVICE_CONTROL]);
	acpi->status &= ~get16(&image[PM1_STATUS]); /* write one to clear */
	acpi->enable = get16(&image[PM1_ENABLE]) & ENABLE_ALL;
	if (offset < PM_TIMER && offset + size > PM1_CONTROL)
		write_control(acpi, get16(&image[PM1_CONTROL]));
	acpi_update(acpi);
}

/* APMC and APMS. Without firmware nobody would answer the commands that the FADT promises, so the chip does, before the
 * processor may hear of it. */
static void write_smi(void *owner, u64 offset, unsigned size, u64 value)
{
	struct acpi *acpi = owner;

	(void)size;
	acpi->smi[offset] = (u8)value;
	if (offset)
		return;
	catch_up(acpi);
	if (value == ACPI_ON)
		acpi->control |= CONTROL_SCI;
	else if (value == ACPI_OFF)
		acpi->control &= ~CONTROL_SCI;
	acpi_update(acpi);
	if ((acpi->global & SMI_ENABLE) && (pci_config32(&acpi->pci, DEVACTB) & APMC_ENABLE)) {
		line_set(&acpi->wire.smi, true);
		line_set(&acpi->wire.smi, false);
	}
}

static u64 read_smi(void *owner, u64 offset, unsigned size)
{
	struct acpi *acpi = owner;

	(void)size;
	return acpi->smi[offset];
}

/* The SMBus host controller: nobody is on the bus, so every command ends in a device error. */
static u64 read_smbus(void *owner, u64 offset, unsigned size)
{
	const struct acpi *acpi = owner;

	(void)size;
	return acpi->smb[offset];
}

static void write_smbus(void *owner, u64 offset, unsigned size, u64 value)
{
	struct acpi *acpi = owner;

	(void)size;
	if (offset == SMB_STATUS) {
		acpi->smb[SMB_STATUS] &= (u8)~(value & SMB_CLEARABLE);
		return;
	}
	acpi->smb[offset] = (u8)value;
	if (offset == SMB_CONTROL && (value & SMB_START)) {
		acpi->smb[SMB_CONTROL] &= (u8)~SMB_START;
		acpi->smb[SMB_STATUS] |= SMB_DEVICE_ERROR;
	}
}

static const struct device_ops pm_ops = { read_pm, write_pm, 1, 4 };
static const struct device_ops smi_ops = { read_smi, write_smi, 1, 1 };
static const struct device_ops smbus_ops = { read_smbus, write_smbus, 1, 1 };

static void place(struct acpi *acpi, struct window *w, int rank, const char *name, u16 at, unsigned size,
		  const struct device_ops *ops)
{
	if (at == w->at)
		return;
	if (w->range >= 0)
		space_remove(acpi->wire.ports, w->range);
	w->range = at ? space_add_device(acpi->wire.ports, name, at, size, ops, acpi) : -1;
	space_rank(acpi->wire.ports, w->range, rank);
	w->at = at;
}

static void place_all(struct acpi *acpi)
{
	const u8 *config = acpi->pci.config;
	u16 before = acpi->pm.at;

	place(acpi, &acpi->pm, 2, "acpi pm",
	      config[ACPI_PMREGMISC] & PM_DECODED ? get16(&config[ACPI_PMBASE]) & 0xffc0 : 0, PM_SIZE, &pm_ops);
	if (acpi->pm.at != before && acpi->wire.moved)
		acpi->wire.moved(acpi->wire.owner);
	place(acpi, &acpi->smbus, 1, "smbus", config[SMBHSTCFG] & 1 ? get16(&config[SMBBASE]) & 0xfff0 : 0, SMB_SIZE,
	      &smbus_ops);
}

static void written(void *owner, unsigned offset, unsigned len)
{
	(void)offset, (void)len;
	place_all(owner);
}

static void acpi_post_load(void *state)
{
	struct acpi *acpi = state;

	acpi->status &= STATUS_ALL;
	acpi->enable &= ENABLE_ALL;
	acpi->control &= CONTROL_KEPT;
	acpi->global &= GLOBAL_KEPT;
}

static void describe(struct acpi *acpi)
{
	struct pci_function *f = &acpi->pci;

	pci_init(f, "piix4 pm", 0x8086, 0x7113, 0x068000);
	pci_subsystem(f, 0x1af4, 0x1100);
	f->config[PCI_REVISION] = 3;
	f->config[PCI_INT_LINE] = ACPI_SCI_IRQ;
	pci_pin(f, 1);
	put16(&f->config[PCI_STATUS], 0x0280);
	f->config[ACPI_PMBASE] = 1;
	pci_writable(f, ACPI_PMBASE, 4, 0xffc0);
	pci_writable(f, 0x44, 4, ~(u32)0); /* counters and resources of device monitors, which do nothing here */
	for (unsigned offset = 0x48; offset < ACPI_PMREGMISC; offset += 4)
		pci_writable(f, offset, 4, ~(u32)0);
	pci_writable(f, ACPI_PMREGMISC, 1, PM_DECODED);
	f->config[SMBBASE] = 1;
	pci_writable(f, SMBBASE, 4, 0xfff0);
	pci_writable(f, SMBHSTCFG, 1, 0x0f);
	f->written = written;
	f->owner = acpi;
}

struct acpi *acpi_new(struct space *ports, struct pci_bus *pci, struct clock *clock, struct line sci, struct line smi,
	struct line poweroff,
		const struct log *log)
{
	struct acpi *acpi = calloc(1, sizeof *acpi);

	if (!acpi)
		return NULL;
	acpi->wire.ports = ports;
	acpi->wire.clock = clock;
	acpi->wire.sci = sci;
	acpi->wire.smi = smi;
	acpi->wire.poweroff = poweroff;
	acpi->wire.log = log;
	acpi->pm.range = acpi->smbus.range = -1;
	describe(acpi);
	if (!smi.set) /* who sets SMM up before use takes it for done */
		put32(&acpi->pci.config[DEVACTB], APMC_ENABLE);
	if (space_add_device(ports, "acpi smi", ACPI_SMI_PORT, 2, &smi_ops, acpi) < 0) {
		free(acpi);
		return NULL;
	}
	pci_attach(pci, &acpi->pci, ACPI_SLOT, ACPI_FUNCTION);
	clock_add(clock, &acpi->carry, "acpi timer", carry, acpi);
	return acpi;
}

void acpi_free(struct acpi *acpi)
{
	free(acpi);
}

void acpi_on_move(struct acpi *acpi, void (*moved)(void *owner), void *owner)
{
	acpi->wire.moved = moved;
	acpi->wire.owner = owner;
}

u16 acpi_base(const struct acpi *acpi)
{
	return acpi->pm.at;
}

void acpi_power_button(struct acpi *acpi)
{
	acpi->status |= STATUS_POWER_BUTTON;
	acpi_drive(acpi);
}

void acpi_refresh(struct acpi *acpi)
{
	place_all(acpi);
	acpi_drive(acpi);
	line_set(&acpi->wire.poweroff, acpi->off);
}

struct part acpi_part(struct acpi *acpi)
{
	return (struct part){ .name = "acpi", .state = acpi, .fields = acpi_fields, .post_load = acpi_post_load };
}
