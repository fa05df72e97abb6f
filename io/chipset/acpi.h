/* SPDX-License-Identifier: MIT */
/* Power management of the 82371AB (PIIX4), function 3 of slot 1 (Intel 82371AB data sheet): ACPI fixed hardware
 * (ACPI specification 6.x, chapter 4), the SMI command port, an SMBus without devices.
 *
 *     PMBASE +0 PM1 status   +2 PM1 enable   +4 PM1 control   +8 PM timer (3579545 Hz, 32 bits)   +28h global control: bit 0 SMI# enabled
 *     B2h SMI command (F1h: ACPI on, F0h: off)   B3h SMI status
 *
 * Not modelled: sleep states but S5 (a guest that enters another one wakes at once), general-purpose events, clock
 * control, device monitors (their registers keep their bits), throttling. Every command on the SMBus ends with a
 * device error. */
#ifndef IO_ACPI_H
#define IO_ACPI_H

#include "mem/base/clock.h"
#include "mem/base/field.h"
#include "mem/base/line.h"
#include "mem/base/log.h"
#include "mem/space.h"

#define ACPI_SLOT 1 /* and function */
#define ACPI_FUNCTION 3
#define ACPI_PMBASE 0x40 /* configuration: where the first are, */
#define ACPI_PMREGMISC 0x80 /* and bit 0: they are decoded */
#define ACPI_PM_BASE 0x600u /* customary */
#define ACPI_PM_HZ 3579545u
#define ACPI_SCI_IRQ 9
#define ACPI_SMI_PORT 0xb2u
#define ACPI_ON 0xf1u  /* values for the SMI command port */
#define ACPI_OFF 0xf0u
#define ACPI_RESET_PORT 0xcf9u
#define ACPI_RESET_VALUE 0x06u
#define ACPI_S5_TYPE 0u /* SLP_TYP that switches off: PIIX4 and \_S5 of the DSDT agree */

struct acpi;
struct pci_bus;

/* Takes the ports above. SCI is the level of the system control interrupt, active high; SMI pulses when a command is
 * written and SMIs of commands are enabled (a line that ends in the air: there is no SMM); POWEROFF goes high when the
 * guest enters S5. NULL: no memory. */
struct acpi *acpi_new(struct space *ports, struct pci_bus *pci, struct clock *clock, struct line sci, struct line smi,
	struct line poweroff,
		const struct log *log);
void acpi_free(struct acpi *acpi);
/* MOVED is called after PMBASE changed. acpi_base: what it is, 0: not decoded. */
void acpi_on_move(struct acpi *acpi, void (*moved)(void *owner), void *owner);
u16 acpi_base(const struct acpi *acpi);
/* Somebody pressed the power button. */
void acpi_power_button(struct acpi *acpi);
void acpi_refresh(struct acpi *acpi);
struct part acpi_part(struct acpi *acpi);

/* ---- tables: acpi_tables.c ---- */

#define ACPI_TABLES_MAX (32 * KiB)
#define ACPI_RSDP_SIZE 36u
#define ACPI_RSDP_ROOM 64u        /* the RSDP comes first and has so much for itself */
#define ACPI_RSDP_FILE "etc/acpi/rsdp"
#define ACPI_TABLES_FILE "etc/acpi/tables"
#define ACPI_SCRIPT_MAX (32 * 128u)

/* What the tables say. CPUS processors (at most 255) have local APIC IDs 0 to CPUS-1, the I/O APIC at FEC00000h has
 * mptable_ioapic_id(CPUS). */
struct acpi_system {
	unsigned cpus;
	u16 pm_base;
	u32 card_memory;          /* from here up to the I/O APIC, cards may have their memory */
};

struct acpi_tables;

/* NULL: no memory, or too many processors. */
struct acpi_tables *acpi_tables_new(const struct acpi_system *system);
/* The same again, of another system, in place. False: too many processors. */
bool acpi_tables_build(struct acpi_tables *tables, const struct acpi_system *system);
void acpi_tables_free(struct acpi_tables *tables);
/* Write them into MEMORY (ROM as well) at [BASE, BASE + SIZE), once, the RSDP first. BASE is a multiple of 64 below 4
 * GiB, and within E0000h-FFFFFh for a guest that scans for it. Returns the bytes used; 0 if SIZE is too small or BASE
 * is wrong. */
u64 acpi_tables_place(struct acpi_tables *tables, struct space *memory, u64 base, u64 size);
/* For firmware that places them: the RSDP, at ACPI_RSDP_ROOM the other tables, and the script that puts them together
 * (etc/table-loader): OUT has room for ACPI_SCRIPT_MAX bytes; returns how many there are. */
const u8 *acpi_tables_bytes(const struct acpi_tables *tables, u32 *len);
u32 acpi_tables_script(const struct acpi_tables *tables, u8 *out);

/* The definition block (acpi_dsdt.c) without its header. OUT may be NULL. Returns its length. */
u32 acpi_dsdt(u8 *out, const struct acpi_system *system);

#endif
