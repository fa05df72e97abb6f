/* SPDX-License-Identifier: MIT */
/* The drives of a PC, and the images in them. */
#include <stdlib.h>
#include "io/disk/ahci.h"
#include "io/disk/fdc.h"
#include "io/disk/reach.h"
#include "lib/pc.h"

/* Drives that a bus has places for. */
static const unsigned places[] = { [VCPU_BUS_IDE] = 4, [VCPU_BUS_AHCI] = AHCI_PORTS, [VCPU_BUS_VIRTIO] = VCPU_DRIVES,
	[VCPU_BUS_FLOPPY] = 2, [VCPU_BUS_SHELF] = VCPU_DRIVES };
static const char *const buses[] = { [VCPU_BUS_IDE] = "IDE", [VCPU_BUS_AHCI] = "AHCI", [VCPU_BUS_VIRTIO] = "virtio",
	[VCPU_BUS_FLOPPY] = "floppy", [VCPU_BUS_SHELF] = "shelf" };

/* ---- what disks tell of the host ---- */

static struct drive *drive_of(struct vcpu *v, const struct disk *disk)
{
	unsigned i = 0;

	while (v->drives[i].disk != disk)
		i++;
	return &v->drives[i];
}

static void stalled(void *owner, struct disk *disk)
{
	(void)disk;
	machine_attention(owner);
}

static void waiting(void *owner, struct disk *disk)
{
	struct vcpu *v = owner;

	drive_of(v, disk)->full = v->disk_news = true;
	machine_attention(v);
}

static void lost(void *owner, struct disk *disk)
{
	struct vcpu *v = owner;

	drive_of(v, disk)->lost = v->disk_news = true;
	machine_attention(v);
}

static void say(void *owner, const char *text)
{
	struct vcpu *v = owner;

	if (!v->output)
		return;
	v->output(v->user, VCPU_HOST_LOG, text, strlen(text));
	machine_called(v);
}

static bool hurry(void *owner)
{
	return ((struct vcpu *)owner)->asked;
}

bool drives_news(struct vcpu *v, enum vcpu_stop_reason *reason)
{
	for (unsigned i = 0; i < v->ndrives; i++) {
		struct drive *drive = &v->drives[i];
		bool *news = drive->lost ? &drive->lost : &drive->full;

		if (!*news)
			continue;
		*reason = drive->lost ? VCPU_STOP_DISK_ERROR : VCPU_STOP_DISK_FULL;
		*news = false;
		machine_error(v, "%s", disk_error(drive->disk));
		return true;
	}
	v->disk_news = false;
	return false;
}

int vcpu_flush(vcpu *v)
{
	int result;

	if (machine_refuses(v, "vcpu_flush"))
		return -1;
	v->busy++;
	result = v->pc ? pc_flash_flush(v->pc) : 0;
	for (unsigned i = 0; i < v->ndrives; i++) {
		struct drive *drive = &v->drives[i];

		if (drive->disk && disk_flush(drive->disk) != DISK_OK && !result)
			result = machine_error(v, "%s", disk_error(drive->disk));
		drive->lost = false; /* the caller hears it now */
	}
	v->busy--;
	return result;
}

/* ---- */

/* What cannot be written is opened read-only without being asked. */
static struct disk *open_image(const struct vcpu_drive *from, bool cdrom, const struct reach *reach, unsigned number,
			       char **error)
{
	static const char suffix[] = ",readonly";
	char *spec = malloc(strlen(from->image) + sizeof suffix);
	struct disk *disk = NULL;

	if (!spec)
		return error_write(error, "%s: the host has no memory for a disk", from->image), NULL;
	strcpy(spec, from->image);
	if (cdrom)
		strcat(spec, suffix);
	disk = reach ? disk_open_within(spec, reach, &reach->disks[number], error) : disk_open(spec, error);
	free(spec);
	return disk;
}

bool drives_open(struct vcpu *v, const struct vcpu_config *config, char **error)
{
	unsigned count[ARRAY_LEN(places)] = { 0 };
	const struct vcpu_drive *owner = NULL; /* whose shelf it is */
	const struct disk_host host = { v, waiting, stalled, say, lost, hurry };

	if (!config->drives_count)
		return true;
	if (v->bare)
		return error_set(error, "a bare processor has no drives");
	for (unsigned i = 0; i < config->drives_count; i++) {
		const struct vcpu_drive *from = &config->drives[i];
		struct drive *drive = &v->drives[v->ndrives];

		if ((unsigned)from->bus >= ARRAY_LEN(places))
			return error_set(error, "drive %u: there is no bus %u", i, (unsigned)from->bus);
		if (++count[from->bus] > places[from->bus])
			return error_set(error, "drive %u: there is room for %u %s drives", i, places[from->bus],
					 buses[from->bus]);
		if (from->cdrom && from->bus != VCPU_BUS_IDE && from->bus != VCPU_BUS_AHCI)
			return error_set(error, "drive %u: a CD-ROM drive is for IDE or AHCI, not %s", i,
					 buses[from->bus]);
		if (from->bus != VCPU_BUS_SHELF)
			owner = from->cdrom || from->bus == VCPU_BUS_FLOPPY ? from : NULL;
		if (!owner && from->bus == VCPU_BUS_SHELF)
			return error_set(error,
					 "drive %u: a medium must follow the floppy or CD-ROM drive that it is for", i);
		if (!from->image && (from->bus == VCPU_BUS_SHELF || from->bus == VCPU_BUS_VIRTIO ||
				     (from->bus != VCPU_BUS_FLOPPY && !from->cdrom)))
			return error_set(error, "drive %u: only a CD-ROM or floppy drive can be empty", i);
		if (from->image) {
			drive->disk = open_image(from, owner && owner->cdrom, v->reach, i, error);
			if (!drive->disk)
				return false;
			if (owner && !owner->cdrom && disk_size(drive->disk) > FDC_IMAGE_MAX) {
				disk_free(drive->disk);
				return error_set(error, "%s: too large for a floppy disk", from->image);
			}
			disk_set_host(drive->disk, &host);
		}
		drive->bus = from->bus;
		drive->cdrom = from->cdrom;
		v->ndrives++;
	}
	return true;
}

bool drives_add_blocks(struct vcpu *v)
{
	for (unsigned i = 0; i < v->ndrives; i++) {
		struct ram *ram = v->drives[i].disk ? disk_ram(v->drives[i].disk) : NULL;

		if (ram && !machine_add_block(v, 0, ram, true))
			return false;
	}
	return true;
}

u64 drives_hash(const struct vcpu *v)
{
	u64 h = 0;

	for (unsigned i = 0; i < v->ndrives; i++) {
		const struct drive *drive = &v->drives[i];
		u64 words[] = { drive->bus, drive->cdrom, drive->disk ? disk_size(drive->disk) : 0 };

		h = hash64(h, words, sizeof words);
	}
	return h;
}

unsigned drives_parts(struct vcpu *v, struct part *out)
{
	static const char *const names[VCPU_DRIVES] = { "disk0", "disk1", "disk2", "disk3", "disk4", "disk5", "disk6",
		"disk7",
		"disk8", "disk9", "disk10", "disk11", "disk12", "disk13", "disk14", "disk15" };
	unsigned n = 0;

	for (unsigned i = 0; i < v->ndrives; i++)
		if (v->drives[i].disk)
			out[n++] = disk_part(v->drives[i].disk, names[i]);
	return n;
}

bool drives_contents(struct vcpu *v, u64 out[VCPU_DRIVES])
{
	for (unsigned i = 0; i < v->ndrives; i++) {
		out[i] = 0;
		if (v->drives[i].disk && disk_contents(v->drives[i].disk, &out[i]) != DISK_OK)
			return machine_error(v, "%s", disk_error(v->drives[i].disk)), false;
	}
	return true;
}

void drives_close(struct vcpu *v)
{
	const struct disk_host deaf = { .owner = v, .hurry = hurry }; /* the machine is in pieces */

	for (unsigned i = 0; i < v->ndrives; i++) {
		if (v->drives[i].disk)
			disk_set_host(v->drives[i].disk, &deaf);
		disk_free(v->drives[i].disk);
	}
	v->ndrives = 0;
}
