/* SPDX-License-Identifier: MIT */
/* A run of the kernel on the public API. The machine itself has 4 MiB and a disk of 16 sectors. The machine of a
 * monitor has 16 MiB, of which the monitor gives 4 to its guest, and a disk of 64 sectors, of which it gives 16.
 * The rest belongs to others, and a pattern tells whether it has been touched. Port 5000h is a device of another
 * guest. */
#define _GNU_SOURCE
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "host.h"

enum { MIB = 1 << 20, OTHERS = 12 * MIB, OTHERS_SIZE = 4 * MIB, OTHERS_PORT = 0x5000 };

uint32_t disk_word(unsigned sector, unsigned word) { return (sector * 128 + word) * 2654435761u; }

static void output(void *user, enum vcpu_channel channel, const void *data, size_t len)
{
	struct run *run = user;
	char *text = channel == VCPU_DEBUGCON ? run->result->output : run->result->report;
	size_t *length = channel == VCPU_DEBUGCON ? &run->output_length : &run->report_length;

	if ((channel != VCPU_DEBUGCON && channel != VCPU_COM1) || *length + len >= TEXT)
		return;
	memcpy(text + *length, data, len);
	*length += len;
}

static uint64_t port_read(void *user, uint64_t offset, unsigned size)
{
	(void)offset, (void)size;
	((struct run *)user)->accesses++;
	return 0x5ec4e7;
}

static void port_write(void *user, uint64_t offset, unsigned size, uint64_t value)
{
	(void)offset, (void)size, (void)value;
	((struct run *)user)->accesses++;
}

static bool make_disk(struct run *run)
{
	unsigned sectors = run->monitor ? HOST_SECTORS : GUEST_SECTORS, first = run->monitor ? FIRST_SECTOR : 0;

	snprintf(run->image, sizeof run->image, "/tmp/monitors-XXXXXX");
	run->disk = mkstemp(run->image);
	if (run->disk < 0)
		return perror(run->image), false;
	for (unsigned i = 0; i < sectors; i++) {
		uint32_t sector[SECTOR_SIZE / 4];

		for (unsigned j = 0; j < SECTOR_SIZE / 4; j++)
			sector[j] = disk_word(i - first, j);
		if (write(run->disk, sector, sizeof sector) != sizeof sector)
			return perror(run->image), false;
	}
	return true;
}

/* The monitor's code: the segment of its file that is not writable. */
static void find_text(struct run *run)
{
	FILE *file = fopen(run->monitor, "rb");
	Elf32_Ehdr header;
	Elf32_Phdr segment;

	if (!file)
		return;
	if (fread(&header, sizeof header, 1, file) == 1 && !fseek(file, header.e_phoff, SEEK_SET))
		for (unsigned i = 0; i < header.e_phnum && fread(&segment, sizeof segment, 1, file) == 1; i++)
			if (segment.p_type == PT_LOAD && !(segment.p_flags & PF_W))
				run->text = segment.p_paddr, run->text_size = segment.p_filesz;
	fclose(file);
	run->text_before = malloc(run->text_size + 1);
	vcpu_read_physical(run->v, run->text, run->text_before, run->text_size);
}

static uint32_t pattern(uint32_t i) { return i * 2246822519u + 1; }

/* The processor: for the monitor `svm', one with SVM. */
static const char *processor(const char *monitor)
{
	const char *name = monitor ? strrchr(monitor, '/') : NULL;

	return name && !strcmp(name, "/svm") ? "max,+svm,+npt" : "max";
}

bool run_possible(const char *monitor)
{
	struct vcpu_config config = { .bare = true, .cpu = processor(monitor) };
	char *error = NULL;
	vcpu *v = vcpu_new(&config, &error);

	free(error);
	vcpu_free(v);
	return v;
}

bool run_begin(struct run *run, const char *monitor, const char *kernel, struct result *result)
{
	struct vcpu_drive drive = { .image = run->image, .bus = VCPU_BUS_IDE };
	struct vcpu_device device = { .read = port_read, .write = port_write, .user = run };
	struct vcpu_config config = {
		.cpu = processor(monitor),
		.memory = (monitor ? 16 : 4) * MIB,
		.kernel = monitor ? monitor : kernel,
		.initrd = monitor ? kernel : NULL,
		.drives = &drive,
		.drives_count = 1,
		.serial_instant = true,
		.output = output,
		.user = run,
		.display = "none",
	};
	char *error = NULL;

	*run = (struct run){ .monitor = monitor, .result = result };
	*result = (struct result){ .isolated = true };
	if (!make_disk(run))
		return false;
	run->v = vcpu_new(&config, &error);
	if (!run->v || (monitor && vcpu_map_ports(run->v, "others", OTHERS_PORT, 4, &device))) {
		fprintf(stderr, "%s\n", run->v ? vcpu_error(run->v) : error);
		return false;
	}
	if (monitor) {
		find_text(run);
		for (uint32_t i = 0; i < OTHERS_SIZE; i += 4)
			vcpu_write_physical(run->v, OTHERS + i, &(uint32_t){ pattern(i) }, 4);
	}
	return true;
}

static void touched(struct run *run, const char *what)
{
	run->result->isolated = false;
	run->result->touched = what;
}

static void look(struct run *run)
{
	unsigned char *text = malloc(run->text_size + 1);
	uint32_t word, sector[SECTOR_SIZE / 4];

	vcpu_read_physical(run->v, run->text, text, run->text_size);
	if (memcmp(text, run->text_before, run->text_size))
		touched(run, "the monitor's code");
	free(text);
	for (uint32_t i = 0; i < OTHERS_SIZE; i += 4)
		if (vcpu_read_physical(run->v, OTHERS + i, &word, 4) != 4 || word != pattern(i))
			touched(run, "memory");
	for (unsigned i = 0; i < HOST_SECTORS; i++)
		if (i < FIRST_SECTOR || i >= FIRST_SECTOR + GUEST_SECTORS)
			for (unsigned j = 0; j < SECTOR_SIZE / 4; j++)
				if (pread(run->disk, sector, sizeof sector, i * SECTOR_SIZE) != sizeof sector ||
				    sector[j] != disk_word(i - FIRST_SECTOR, j))
					touched(run, "a sector");
	if (run->accesses)
		touched(run, "a port");
}

void run_end(struct run *run)
{
	struct result *r = run->result;
	off_t first = run->monitor ? FIRST_SECTOR * SECTOR_SIZE : 0;

	vcpu_flush(run->v);
	r->instructions = vcpu_instructions(run->v);
	if (pread(run->disk, r->disk, sizeof r->disk, first) != sizeof r->disk)
		perror(run->image);
	if (run->monitor)
		look(run);
	free(run->text_before);
	vcpu_free(run->v);
	close(run->disk);
	unlink(run->image);
}
