/* SPDX-License-Identifier: MIT */
/* The list of a PC's devices: what they remember, how they are reset, how they end. */
#include <stdlib.h>
#include "io/chipset/acpi.h"
#include "io/chipset/pci.h"
#include "lib/pc.h"

static const struct field board_fields[] = {
	FIELD(struct pc, isa, U32),
	FIELD(struct pc, isa_sound, U32),
	FIELD(struct pc, isa_pirq, U32),
	FIELD(struct pc, com_levels, U8),
	FIELD(struct pc, hpet_pins, U32),
	FIELD(struct pc, pirq, U32),
	FIELD(struct pc, pit_out, BOOL),
	FIELD(struct pc, rtc_out, BOOL),
	FIELD(struct pc, hpet_irq0, BOOL),
	FIELD(struct pc, hpet_irq8, BOOL),
	FIELD(struct pc, legacy, BOOL),
	FIELD(struct pc, a20_keyboard, BOOL),
	FIELD(struct pc, a20_fast, BOOL),
	FIELD_END
};

bool pc_add(struct pc *pc, const struct device_kind *kind, void *device)
{
	if (!device || pc->ndevices == DEVICES_MAX) {
		if (device)
			kind->free(device);
		return false;
	}
	pc->devices[pc->ndevices++] = (struct device){ kind, device };
	return true;
}

/* The state that a reset takes back to what it was at power-on: the board's, the PCI bus's, and that of the devices
 * without a reset of their own. */
static unsigned volatile_parts(struct pc *pc, struct part *out, unsigned max)
{
	unsigned n = 0;

	out[n++] = (struct part){ "board", pc, board_fields, NULL };
	for (unsigned i = 0; i < pc->ndevices && n < max; i++)
		if (pc->devices[i].kind->part && !pc->devices[i].kind->reset)
			out[n++] = pc->devices[i].kind->part(pc->devices[i].device);
	return n + pci_parts(pc->pci, out + n, max - n);
}

unsigned pc_parts(struct pc *pc, struct part *out, unsigned max)
{
	unsigned n = volatile_parts(pc, out, max);

	for (unsigned i = 0; i < pc->ndevices && n < max; i++)
		if (pc->devices[i].kind->part && pc->devices[i].kind->reset)
			out[n++] = pc->devices[i].kind->part(pc->devices[i].device);
	return n;
}

bool pc_remember_fresh(struct pc *pc)
{
	struct part parts[PC_PARTS_MAX];
	unsigned n = volatile_parts(pc, parts, PC_PARTS_MAX);
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

bool pc_reset(struct vcpu *v)
{
	struct pc *pc = v->pc;
	struct part parts[PC_PARTS_MAX];
	unsigned n = volatile_parts(pc, parts, PC_PARTS_MAX);
	const u8 *at = pc->fresh;

	for (unsigned i = 0; i < pc->ndevices; i++)
		if (pc->devices[i].kind->reset)
			pc->devices[i].kind->reset(pc->devices[i].device);
	for (unsigned i = 0; i < n; at += part_size(&parts[i++]))
		part_load(&parts[i], at, part_size(&parts[i]), NULL);
	clock_sort(&v->clock);
	pc_loaded(pc);
	return v->boot.bios.data || pc_set_up(v);
}

/* From the outermost devices, which were built last, to the interrupt controllers. */
void pc_loaded(struct pc *pc)
{
	pc_drive_a20(pc);
	for (unsigned i = pc->ndevices; i-- > 0;)
		if (pc->devices[i].kind->refresh)
			pc->devices[i].kind->refresh(pc->devices[i].device);
}

void pc_free(struct pc *pc)
{
	if (!pc)
		return;
	while (pc->ndevices--)
		pc->devices[pc->ndevices].kind->free(pc->devices[pc->ndevices].device);
	free(pc->fresh);
	acpi_tables_free(pc->tables);
	free(pc);
}
