/* SPDX-License-Identifier: MIT */
/* Boot the Linux guest of ./quickstart once, and go on with ten machines from there, which share the memory that they
 * do not write.
 *
 *     cc many.c $(pkg-config --cflags --libs libvcpu) && ./a.out build/guest/vmlinuz build/guest/initrd.img */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vcpu.h>
#include <vcpu_snapshot.h>

enum { MACHINES = 10 };

/* The last characters of COM1. */
struct heard { char text[4096]; size_t len; };

static void output(void *user, enum vcpu_channel channel, const void *data, size_t len)
{
	struct heard *h = user;

	for (size_t i = 0; channel == VCPU_COM1 && i < len; i++) {
		if (h->len == sizeof h->text - 1)
			memmove(h->text, h->text + 1, --h->len);
		h->text[h->len++] = ((const char *)data)[i];
		h->text[h->len] = 0;
	}
}

/* Run V until it says TEXT; 0: it did not. */
static int run_until(vcpu *v, struct heard *h, const char *text)
{
	for (unsigned i = 0; i < 3000 && !strstr(h->text, text); i++)
		vcpu_run(v, 5000000);
	return strstr(h->text, text) != NULL;
}

static double mib(uint64_t bytes) { return (double)bytes / (1 << 20); }

int main(int argc, char **argv)
{
	static struct heard heard[1 + MACHINES];
	struct vcpu_config config = { .memory = 256 << 20, .output = output, .user = &heard[MACHINES] };
	struct vcpu_memory m, sum = { 0, 0, 0 };
	char *error = NULL, command[64];
	vcpu *first, *v[MACHINES];
	vcpu_template *t;

	if (argc < 2) {
		fprintf(stderr, "usage: many KERNEL [INITRD [COMMAND-LINE]]\n");
		return 2;
	}
	config.kernel = argv[1];
	config.initrd = argc > 2 ? argv[2] : NULL;
	config.append = argc > 3 ? argv[3] : "console=ttyS0";
	first = vcpu_new(&config, &error);
	if (!first || !run_until(first, &heard[MACHINES], "root # ")) {
		fprintf(stderr, "%s\n", error ? error : "there is no prompt");
		return 2;
	}
	m = vcpu_memory_counts(first);
	printf("one machine: %.1f MiB\n", mib(m.own));
	t = vcpu_template_take(first);
	vcpu_free(first);
	for (unsigned i = 0; i < MACHINES; i++) {
		config.user = &heard[i];
		v[i] = vcpu_template_machine(t, &config, &error);
		if (!v[i]) {
			fprintf(stderr, "%s\n", error);
			return 2;
		}
	}
	vcpu_template_free(t);
	for (unsigned i = 0; i < MACHINES; i++) {
		snprintf(command, sizeof command, "echo square $((%u * %u)).\n", i, i);
		vcpu_input(v[i], VCPU_COM1, command, strlen(command));
		snprintf(command, sizeof command, "square %u.", i * i);
		m = run_until(v[i], &heard[i], command) ? vcpu_memory_counts(v[i]) : (struct vcpu_memory){ 0, 0, 0 };
		printf("machine %u: %s %.1f MiB of its own, %.1f MiB shared\n", i, command, mib(m.own), mib(m.shared));
		sum.own += m.own;
		sum.shared = m.shared > sum.shared ? m.shared : sum.shared;
	}
	printf("%d machines: %.1f MiB\n", MACHINES, mib(sum.own + sum.shared));
	for (unsigned i = 0; i < MACHINES; i++)
		vcpu_free(v[i]);
	return 0;
}
