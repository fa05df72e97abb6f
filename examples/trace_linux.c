/* SPDX-License-Identifier: MIT */
/* What a Linux guest executes and opens, with virtual times: a line for each execve, open and openat of its 64-bit
 * programs. Processes are told apart by their page tables (CR3). COMMAND is typed when the guest first sleeps.
 *
 *     cc trace_linux.c $(pkg-config --cflags --libs libvcpu)
 *     ./a.out vmlinuz initrd.img [INSTRUCTIONS [COMMAND]] */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vcpu_hook.h>

enum { OPEN = 2, EXECVE = 59, OPENAT = 257, CALLS = 64 };

/* Calls that have not returned. */
static struct call { bool used; uint64_t space, rsp, name; int hook; } calls[CALLS];
static vcpu *v;

/* The text at ADDRESS, or "?" if its page is not in memory. */
static const char *text(uint64_t address)
{
	static char name[256];
	size_t n = vcpu_read_linear(v, address, name, sizeof name - 1);

	name[n] = 0;
	return n && memchr(name, 0, n + 1) ? name : "?";
}

static void line(uint64_t space, const char *what, const char *name)
{
	printf("%10.6f s %6" PRIx64 " %s %s", (double)vcpu_virtual_ns(v) / 1e9, space >> 12, what, name);
}

/* The instruction after the SYSCALL: has this process returned from this call? */
static enum vcpu_hook_answer returned(void *user, struct vcpu_hook_event *event)
{
	struct call *c = user;

	(void)event;
	if (vcpu_get(v, VCPU_CR3) != c->space || vcpu_get(v, VCPU_RSP) != c->rsp)
		return VCPU_HOOK_GO;
	line(c->space, "open", text(c->name));
	printf(" = %" PRId64 "\n", (int64_t)vcpu_get(v, VCPU_RAX));
	vcpu_hook_remove(v, c->hook);
	c->used = false;
	return VCPU_HOOK_GO;
}

static enum vcpu_hook_answer system_call(void *user, struct vcpu_hook_event *event)
{
	uint64_t number = vcpu_get(v, VCPU_RAX), after = event->address + event->size;
	struct call *c = calls;

	(void)user;
	if (number == EXECVE) { /* where it succeeds it does not return here */
		line(vcpu_get(v, VCPU_CR3), "execve", text(vcpu_get(v, VCPU_RDI)));
		putchar('\n');
	}
	if (number != OPEN && number != OPENAT)
		return VCPU_HOOK_GO;
	while (c->used && ++c < calls + CALLS)
		;
	if (c == calls + CALLS)
		return VCPU_HOOK_GO;
	/* The name may be in a page that only the kernel brings in: it is read when the call returns. */
	*c = (struct call){ true, vcpu_get(v, VCPU_CR3), vcpu_get(v, VCPU_RSP),
			    vcpu_get(v, number == OPEN ? VCPU_RDI : VCPU_RSI), 0 };
	c->hook = vcpu_hook_add(v, &(struct vcpu_hook){ .kinds = VCPU_HOOK_INSN, .first = after, .last = after,
							.observer = true, .call = returned, .user = c });
	c->used = c->hook > 0;
	return VCPU_HOOK_GO;
}

int main(int argc, char **argv)
{
	const struct vcpu_hook hook = { .kinds = VCPU_HOOK_INSN, .instruction = "syscall", .observer = true,
					.call = system_call };
	struct vcpu_config config = { .memory = 256 << 20, .append = "console=ttyS0 quiet" };
	uint64_t end = argc > 3 ? strtoull(argv[3], NULL, 0) : 8000000000;
	const char *command = argc > 4 ? argv[4] : NULL;
	struct vcpu_stop stop;
	char *error = NULL;

	if (argc < 3)
		return fprintf(stderr, "trace_linux KERNEL INITRD [INSTRUCTIONS [COMMAND]]\n"), 2;
	config.kernel = argv[1];
	config.initrd = argv[2];
	v = vcpu_new(&config, &error);
	if (!v || vcpu_hook_add(v, &hook) < 0)
		return fprintf(stderr, "%s\n", v ? vcpu_error(v) : error), 1;
	do {
		stop = vcpu_run(v, 100000000);
		if (stop.reason == VCPU_STOP_IDLE && command) {
			vcpu_input(v, VCPU_COM1, command, strlen(command));
			vcpu_input(v, VCPU_COM1, "\n", 1);
			command = NULL;
		} else if (stop.reason == VCPU_STOP_IDLE) {
			break;
		}
	} while ((stop.reason == VCPU_STOP_LIMIT || stop.reason == VCPU_STOP_IDLE) && vcpu_instructions(v) < end);
	vcpu_free(v);
	return 0;
}
