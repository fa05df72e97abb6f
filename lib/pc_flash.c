/* SPDX-License-Identifier: MIT */
/* The flash chip that firmware keeps its variables in: below the firmware, with a file of the host behind it. */
#include <stdlib.h>
#include "io/disk/disk.h"
#include "io/firmware/flash.h"
#include "lib/pc.h"

#define LIMIT (16 * MiB) /* of firmware and variables together: the APICs are not far below that */

DEVICE_KIND(flash)

static void vars_free(void *device) { disk_free(device); }
static const struct device_kind vars_kind = { vars_free, NULL, NULL, NULL };

/* The chip has taken the bytes, whatever becomes of the file; pc_flash_flush tries once more. */
static void write_back(void *owner, u64 offset, u64 len)
{
	struct pc *pc = owner;
	const struct ram *ram = pc->vars_ram;
	u64 from = offset & ~(u64)511, to = (offset + len + 511) & ~(u64)511;

	if (disk_write(pc->vars, from, ram->host + from, to - from) == DISK_OK)
		return;
	if (!pc->vars_behind)
		log_line(&pc->v->log, "flash: the file could not be written: %s", disk_error(pc->vars));
	pc->vars_behind = true;
}

int pc_flash_flush(struct pc *pc)
{
	const struct ram *ram = pc->vars_ram;
	enum disk_result result = DISK_OK;

	if (!pc->vars)
		return 0;
	if (pc->vars_behind)
		result = disk_write(pc->vars, 0, ram->host, ram->size);
	pc->vars_behind = result != DISK_OK;
	if (result == DISK_OK)
		result = disk_flush(pc->vars);
	return result == DISK_OK ? 0 : machine_error(pc->v, "%s", disk_error(pc->vars));
}

/* "FILE,snapshot": what is written stays in the chip, whose memory is saved like all other. */
static struct disk *open_vars(const char *spec, const struct reach *reach, bool *keep, char **error)
{
	static const char snapshot[] = ",snapshot";
	size_t len = strlen(spec), tail = sizeof snapshot - 1;
	char *file = malloc(len + sizeof ",readonly");
	struct disk *disk;

	if (!file)
		return NULL;
	strcpy(file, spec);
	*keep = len <= tail || strcmp(spec + len - tail, snapshot);
	if (!*keep)
		strcpy(file + len - tail, ",readonly");
	disk = reach ? disk_open_within(file, reach, NULL, error) : disk_open(file, error);
	*keep &= !reach;
	free(file);
	return disk;
}

static bool fits(const struct pc *pc, const char *spec, u64 size)
{
	bool whole = size && size % FLASH_BLOCK == 0;

	if (whole && size <= LIMIT - pc->rom->size)
		return true;
	return error_set(pc->error, "%s: variables of %llu bytes, which is %s", spec, (unsigned long long)size,
		whole ? "too much" : "not a multiple of 4096");
}

/* The chip's memory, filled. */
static bool fill(struct pc *pc, const char *spec, const void *data, u64 size)
{
	struct ram *ram = pc->vars_ram = ram_new(size);

	if (!ram || !machine_add_block(pc->v, 4 * GiB - pc->rom->size - size, ram, false))
		return false;
	if (data)
		memcpy(ram->host, data, size);
	else if (disk_read(pc->vars, 0, ram->host, size) != DISK_OK)
		return error_set(pc->error, "%s: %s", spec, disk_error(pc->vars));
	ram_flag_all(ram, 0, size >> PAGE_SHIFT, PAGE_DIRTY);
	pc->v->boot.hash = hash64(pc->v->boot.hash, ram->host, size);
	return true;
}

bool pc_build_flash(struct pc *pc)
{
	const struct vcpu_config *config = pc->config;
	const char *spec = config->vars ? config->vars : "vars";
	struct vcpu *v = pc->v;
	bool keep = false;
	u64 size = config->vars_size;

	if (!config->vars && !config->vars_data)
		return true;
	if (!pc->rom)
		return error_set(pc->error, "%s: variables are for firmware, and there is none", spec);
	if (!config->vars_data) {
		pc->vars = open_vars(spec, v->reach, &keep, pc->error);
		if (!pc_add(pc, &vars_kind, pc->vars))
			return false;
		size = disk_size(pc->vars);
	}
	if (!fits(pc, spec, size))
		return false;
	if (keep && disk_read_only(pc->vars))
		return error_set(pc->error, "%s: it cannot be written (\",snapshot\" leaves it as it is)", spec);
	if (!fill(pc, spec, config->vars_data, size))
		return false;
	return pc_add(pc, &flash_kind,
		      flash_new(&v->mem, 4 * GiB - pc->rom->size - size, pc->vars_ram, keep ? write_back : NULL, pc,
				&v->log));
}

const struct ram *pc_vars(const struct vcpu *v) { return v->pc ? v->pc->vars_ram : NULL; }
