#include <stdlib.h>
#include "io/acpi.h"
#include "io/pci.h"

enum {
	PM1_STATUS = 0, PM1_ENABLE = 2, PM1_CONTROL = 4, PM_TIMER = 8, PM_SIZE = 12,
	STATUS_TIMER = 0x0001, STATUS_POWER_BUTTON = 0x0100, STATUS_RTC = 0x0400, STATUS_WAKE = 0x8000,
	STATUS_ALL = 0x8731, /* what can be cleared: wake, RTC, sleep and power button, global, bus master, timer */
	ENABLE_ALL = 0x0721,
	CONTROL_SCI = 0x0001, CONTROL_KEPT = 0x1c03, CONTROL_SLP_TYP = 0x1c00, CONTROL_SLP_EN = 0x2000,
	TIMER_TOP = 31, /* TMR_STS is set when this bit of the timer changes */
	RESET_CPU = 0x04, RESET_KEPT = 0x0e,
};

struct acpi {
	u16 status, enable, control;
	u64 checked;   /* virtual ns up to which the timer's status is up to date */
	u8 smi[2];     /* ports B2h, B3h as written */
	u8 reset;      /* CF9h */
	bool off;      /* S5 was entered */
	struct event carry;
	struct {
		struct clock *clock;
		struct line sci, poweroff, reset;
		const struct log *log;
	} wire;
};

static const struct field acpi_fields[] = {
	FIELD(struct acpi, status, U16),
	FIELD(struct acpi, enable, U16),
	FIELD(struct acpi, control, U16),
	FIELD(struct acpi, checked, U64),
	FIELDS(struct acpi, smi, U8),
	FIELD(struct acpi, reset, U8),
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

static void drive(const struct acpi *acpi)
{
	line_set(&acpi->wire.sci, (acpi->control & CONTROL_SCI) && (acpi->status & acpi->enable));
}

static void update(struct acpi *acpi)
{
	u64 next = ((timer_at(acpi->wire.clock->now) >> TIMER_TOP) + 1) << TIMER_TOP;
	bool wait = (acpi->enable & ~acpi->status & STATUS_TIMER) && next < timer_at(CLOCK_NEVER - 1);

	clock_arm(acpi->wire.clock, &acpi->carry, wait ? clock_ns(next, ACPI_PM_HZ) : CLOCK_NEVER);
	drive(acpi);
}

static void carry(void *owner, u64 late)
{
	(void)late;
	catch_up(owner);
	update(owner);
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

static u64 read_pm(void *owner, u64 offset, unsigned size)
{
	struct acpi *acpi = owner;
	u8 image[PM_SIZE] = { 0 };

	catch_up(acpi);
	put16(&image[PM1_STATUS], acpi->status);
	put16(&image[PM1_ENABLE], acpi->enable);
	put16(&image[PM1_CONTROL], acpi->control);
	put32(&image[PM_TIMER], (u32)timer_at(acpi->wire.clock->now));
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
	put_size(&image[offset], size, value);
	acpi->status &= ~get16(&image[PM1_STATUS]); /* write one to clear */
	acpi->enable = get16(&image[PM1_ENABLE]) & ENABLE_ALL;
	if (offset < PM_TIMER && offset + size > PM1_CONTROL)
		write_control(acpi, get16(&image[PM1_CONTROL]));
	update(acpi);
}

/* Firmware's SMI handler, as far as the FADT promises one. */
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
	update(acpi);
}

static u64 read_smi(void *owner, u64 offset, unsigned size)
{
	struct acpi *acpi = owner;

	(void)size;
	return acpi->smi[offset];
}

/* CF8h-CFBh, byte by byte: CF9h is the reset control:
 *
 *      3          2        1
 *      full       reset    hard       resets when bit 2 rises */
static u64 read_cf8(void *owner, u64 offset, unsigned size)
{
	struct acpi *acpi = owner;

	return size == 1 && offset == 1 ? acpi->reset : ~(u64)0;
}

static void write_cf8(void *owner, u64 offset, unsigned size, u64 value)
{
	struct acpi *acpi = owner;
	bool reset = value & ~acpi->reset & RESET_CPU;

	if (size != 1 || offset != 1)
		return;
	acpi->reset = value & RESET_KEPT;
	if (!reset)
		return;
	line_set(&acpi->wire.reset, true);
	line_set(&acpi->wire.reset, false);
}

static const struct device_ops pm_ops = { read_pm, write_pm, 1, 4 };
static const struct device_ops smi_ops = { read_smi, write_smi, 1, 1 };
static const struct device_ops cf8_ops = { read_cf8, write_cf8, 1, 4 };

static void sane(void *state)
{
	struct acpi *acpi = state;

	acpi->status &= STATUS_ALL;
	acpi->enable &= ENABLE_ALL;
	acpi->control &= CONTROL_KEPT;
	acpi->reset &= RESET_KEPT;
}

struct acpi *acpi_new(struct space *ports, struct pci_bus *pci, struct clock *clock, struct line sci, struct line poweroff, struct line reset,
		const struct log *log)
{
	struct acpi *acpi = calloc(1, sizeof *acpi);

	if (!acpi)
		return NULL;
	acpi->wire.clock = clock;
	acpi->wire.sci = sci;
	acpi->wire.poweroff = poweroff;
	acpi->wire.reset = reset;
	acpi->wire.log = log;
	if (space_add_device(ports, "acpi pm", ACPI_PM_BASE, PM_SIZE, &pm_ops, acpi) < 0 ||
	    space_add_device(ports, "acpi smi", ACPI_SMI_PORT, 2, &smi_ops, acpi) < 0) {
		free(acpi);
		return NULL;
	}
	pci_bytes(pci, &cf8_ops, acpi);
	clock_add(clock, &acpi->carry, "acpi timer", carry, acpi);
	return acpi;
}

void acpi_free(struct acpi *acpi)
{
	free(acpi);
}

void acpi_power_button(struct acpi *acpi)
{
	acpi->status |= STATUS_POWER_BUTTON;
	drive(acpi);
}

void acpi_refresh(struct acpi *acpi)
{
	drive(acpi);
	line_set(&acpi->wire.poweroff, acpi->off);
}

struct part acpi_part(struct acpi *acpi)
{
	return (struct part){ .name = "acpi", .state = acpi, .fields = acpi_fields, .loaded = sane };
}
