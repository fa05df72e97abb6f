/* Power management of the 82371AB (PIIX4), function 3 of slot 1 (Intel 82371AB data sheet): ACPI fixed hardware (ACPI specification 6.x, chapter
 * 4), the SMI command port, an SMBus without devices. PMBASE moves the first; unlike the chip's it is decoded, at 600h, from power-on, so that
 * there is one set of tables whether or not there is firmware.
 *
 *     600h PM1 status   602h PM1 enable   604h PM1 control   608h PM timer (3579545 Hz, 32 bits)
 *     628h global control: bit 0 SMI# enabled      B2h SMI command (F1h: ACPI on, F0h: off)   B3h SMI status */
#ifndef IO_ACPI_H
#define IO_ACPI_H

#include "mem/base/clock.h"
#include "mem/base/field.h"
#include "mem/base/line.h"
#include "mem/base/log.h"
#include "mem/space.h"

#define ACPI_PM_BASE 0x600u
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

/* Takes the ports above. SCI is the level of the system control interrupt, active high; SMI pulses when a command is written and
 * SMIs of commands are enabled (a line that ends in the air: there is no SMM); POWEROFF goes high when the guest enters S5. NULL: no memory. */
struct acpi *acpi_new(struct space *ports, struct pci_bus *pci, struct clock *clock, struct line sci, struct line smi, struct line poweroff,
		const struct log *log);
void acpi_free(struct acpi *acpi);
/* Somebody pressed the power button. */
void acpi_power_button(struct acpi *acpi);
void acpi_refresh(struct acpi *acpi);
struct part acpi_part(struct acpi *acpi);

/* Write the tables into MEMORY (ROM as well) at [BASE, BASE + SIZE), the RSDP first. BASE is a multiple of 64 below 4 GiB, and within
 * E0000h-FFFFFh for a guest that scans for it. CPUS processors with local APIC IDs 0 to CPUS-1, I/O APIC at FEC00000h with ID CPUS. Returns
 * the bytes used; 0 if SIZE is too small (4 KiB is enough for 255 processors), BASE is wrong, or there are more than 255 processors. */
u64 acpi_tables_build(struct space *memory, u64 base, u64 size, unsigned cpus);

#endif
