/* The drives of a PC, and the images in them. */
#include <stdlib.h>
#include "io/disk/disk.h"
#include "lib/machine.h"

static void waiting(void *owner, struct disk *disk)
{
	struct vcpu *v = owner;

	v->full = disk;
	machine_attention(v);
}

bool drives_open(struct vcpu *v, const struct vcpu_config *config, char **error)
{
	if (!config->drives_count)
		return true;
	if (v->bare)
		return error_set(error, "a bare processor has no drives");
	if (config->drives_count > VCPU_DRIVES)
		return error_set(error, "%u drives are more than a machine can have (%u)", config->drives_count, VCPU_DRIVES);
	for (unsigned i = 0; i < config->drives_count; i++) {
		const struct vcpu_drive *from = &config->drives[i];
		struct drive *drive = &v->drives[v->ndrives];

		if (!from->image && (from->bus == VCPU_BUS_VIRTIO || (from->bus != VCPU_BUS_FLOPPY && !from->cdrom)))
			return error_set(error, "drive %u: only a CD-ROM or floppy drive can be empty", i);
		if (from->image) {
			drive->disk = disk_open(from->image, error);
			if (!drive->disk)
				return false;
			disk_on_wait(drive->disk, waiting, v);
		}
		drive->bus = from->bus;
		drive->cdrom = from->cdrom;
		v->ndrives++;
	}
	return true;
}

void drives_close(struct vcpu *v)
{
	for (unsigned i = 0; i < v->ndrives; i++)
		disk_free(v->drives[i].disk);
	v->ndrives = 0;
}
