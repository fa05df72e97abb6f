/* SPDX-License-Identifier: MIT */
/* Errors of the hardware that the caller reports, in Linux: one that is corrected, which it finds when it polls; and
 * one that is not, for which it panics. The run is recorded.
 *
 *     mce RECORDING MODEL ENGINE KERNEL INITRD */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vcpu_replay.h>

static char text[1 << 20];
static size_t length;

static void die(const char *what, const char *why)
{
	fprintf(stderr, "mce: %s: %s\n", what, why ? why : "?");
	exit(2);
}

static void output(void *user, enum vcpu_channel channel, const void *data, size_t len)
{
	(void)user;
	if (channel != VCPU_COM1 || length + len >= sizeof text)
		return;
	memcpy(text + length, data, len);
	length += len;
}

static bool append(void *user, const void *data, size_t len) { return fwrite(data, 1, len, user) == len; }

/* Until the guest has printed WHAT behind the last one. */
static void wait_for(vcpu *v, const char *what, uint64_t limit)
{
	static size_t from;
	const char *found;

	for (uint64_t end = vcpu_instructions(v) + limit; !(found = strstr(text + from, what));) {
		struct vcpu_stop stop = vcpu_run(v, 10000000);

		if ((stop.reason != VCPU_STOP_LIMIT && stop.reason != VCPU_STOP_IDLE) || vcpu_instructions(v) >= end)
			die(what, text + from);
	}
	from = (size_t)(found - text) + strlen(what);
	printf("%s\n", what);
}

static void report(vcpu *v, struct vcpu_machine_check check)
{
	if (vcpu_input(v, VCPU_MACHINE_CHECK, &check, sizeof check))
		die("vcpu_input", vcpu_error(v));
}

int main(int argc, char **argv)
{
	static const char commands[] = "sleep 700; dmesg | grep -c 'Machine check events logged'\n";
	const uint64_t valid = (uint64_t)1 << 63, uncorrected = (uint64_t)1 << 61, enabled = (uint64_t)1 << 60,
		       addrv = (uint64_t)1 << 58, corrupt = (uint64_t)1 << 57;
	struct vcpu_recording recording = { .write = append };
	struct vcpu_config config = { .size = sizeof config, .memory = 256 << 20, .append = "console=ttyS0 panic=-1",
				      .output = output };
	char *error;
	FILE *file;
	vcpu *v;

	if (argc != 6)
		die("usage", "mce RECORDING MODEL ENGINE KERNEL INITRD");
	config.cpu = argv[2];
	config.engine = strcmp(argv[3], "interpreter") ? VCPU_ENGINE_BEST : VCPU_ENGINE_INTERPRETER;
	config.kernel = argv[4];
	config.initrd = argv[5];
	file = fopen(argv[1], "wb");
	v = vcpu_new(&config, &error);
	if (!file || !v)
		die("start", file ? error : argv[1]);
	recording.user = file;
	if (vcpu_record(v, &recording))
		die("vcpu_record", vcpu_error(v));
	wait_for(v, "root # ", 8000000000);
	report(v, (struct vcpu_machine_check){ .bank = 5,
					       .status = valid | enabled | addrv | 0x9f,
					       .addr = 0x12345000 });
	vcpu_input(v, VCPU_COM1, commands, strlen(commands));
	wait_for(v, "\n1\r\n", 20000000000);
	report(v, (struct vcpu_machine_check){ .bank = 6, .everywhere = 1, .mcg_status = 4,
					       .status = valid | enabled | uncorrected | corrupt | addrv | 0x134,
					       .addr = 0x7654000 });
	wait_for(v, "mce: [Hardware Error]: CPU 0: Machine Check Exception: 4 Bank 6: b600000000000134", 8000000000);
	wait_for(v, "ADDR 7654000", 8000000000);
	wait_for(v, "Kernel panic - not syncing: Fatal ", 8000000000);
	printf("state_hash %016llx\n", (unsigned long long)vcpu_state_hash(v));
	if (!vcpu_record_end(v, &error))
		die("vcpu_record_end", error);
	vcpu_free(v);
	fclose(file);
	return 0;
}
