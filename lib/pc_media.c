/* SPDX-License-Identifier: MIT */
/* Floppy disks and discs that are changed while the machine runs. A drive can hold the image that it was given and
 * those on the shelf behind it in the list of drives, by number from 1; 0: it is empty. */
#include "io/disk/ata.h"
#include "io/disk/fdc.h"
#include "lib/pc.h"

static const struct field media_fields[] = {
	FIELDS(struct pc, media.in, U8),
	FIELD_END
};

static bool removable(const struct drive *drive)
{
	return drive->cdrom || drive->bus == VCPU_BUS_FLOPPY;
}

/* Image N of drive I; NULL: there are fewer. */
static struct disk *image(const struct vcpu *v, unsigned i, unsigned n)
{
	n -= v->drives[i].disk != NULL;
	while (n && ++i < v->ndrives && v->drives[i].bus == VCPU_BUS_SHELF)
		n--;
	return i < v->ndrives && !n ? v->drives[i].disk : NULL;
}

static void media_free(void *device) { (void)device; }

/* A disc stays where it is when the machine is reset. */
static void media_reset(void *device) { (void)device; }

/* What the drives hold follows from the numbers. */
static void media_refresh(void *device)
{
	struct pc *pc = device;

	for (unsigned i = 0; i < pc->v->ndrives; i++) {
		struct disk *disk = pc->media.in[i] ? image(pc->v, i, pc->media.in[i]) : NULL;

		if (pc->v->drives[i].cdrom)
			ata_hold(pc->media.ata[i], disk);
		else if (pc->v->drives[i].bus == VCPU_BUS_FLOPPY)
			fdc_hold(pc->media.fdc, pc->media.place[i], disk);
	}
}

static struct part media_part(void *device)
{
	return (struct part){ "media", device, media_fields, NULL };
}

static const struct device_kind media_kind = { media_free, media_refresh, media_part, media_reset };

bool pc_build_media(struct pc *pc)
{
	bool any = false;

	for (unsigned i = 0; i < pc->v->ndrives; i++) {
		pc->media.in[i] = pc->v->drives[i].disk != NULL;
		any |= removable(&pc->v->drives[i]);
	}
	return !any || pc_add(pc, &media_kind, pc);
}

int pc_media_input(struct pc *pc, const void *data, size_t len)
{
	struct vcpu *v = pc->v;
	struct vcpu_medium m;
	struct disk *disk = NULL;

	if (len != sizeof m)
		return machine_error(v, "%zu bytes are no struct vcpu_medium", len);
	memcpy(&m, data, sizeof m);
	if (m.drive >= v->ndrives || !removable(&v->drives[m.drive]))
		return machine_error(v, "drive %u is none whose medium can be changed", m.drive);
	if (m.medium && !(disk = image(v, m.drive, m.medium)))
		return machine_error(v, "there is no medium %u for drive %u", m.medium, m.drive);
	if (v->drives[m.drive].cdrom && !ata_insert(pc->media.ata[m.drive], disk))
		return machine_error(v, "the guest has locked drive %u", m.drive);
	if (!v->drives[m.drive].cdrom)
		fdc_insert(pc->media.fdc, pc->media.place[m.drive], disk);
	pc->media.in[m.drive] = m.medium;
	return 0;
}

int vcpu_next_medium(vcpu *v)
{
	if (!v)
		return -1;
	for (unsigned i = 0; v->pc && i < v->ndrives; i++) {
		struct vcpu_medium m = { (uint8_t)i, (uint8_t)(v->pc->media.in[i] + 1) };

		if (!removable(&v->drives[i]) || i + 1 == v->ndrives || v->drives[i + 1].bus != VCPU_BUS_SHELF)
			continue;
		if (!image(v, i, m.medium))
			m.medium = 0;
		return vcpu_input(v, VCPU_MEDIUM, &m, sizeof m) ? -1 : m.medium;
	}
	return machine_error(v, "no drive has several media");
}
