/* SPDX-License-Identifier: MIT */
/* A program of Linux without Linux: its system calls are done by a hook, others count what it does.
 *
 *     cc hooks.c $(pkg-config --cflags --libs libvcpu) && ./a.out */
#include <inttypes.h>
#include <stdio.h>
#include <vcpu_hook.h>

static const unsigned char code[] = {
	0xB8, 1, 0, 0, 0,             /*    mov eax, 1 (write) */
	0xBF, 1, 0, 0, 0,             /*    mov edi, 1 */
	0xBE, 0x28, 0x10, 0, 0,       /*    mov esi, text */
	0xBA, 6, 0, 0, 0,             /*    mov edx, 6 */
	0x0F, 0x05,                   /*    syscall */
	0xBB, 3, 0, 0, 0,             /*    mov ebx, 3 */
	0x01, 0x1C, 0x25, 0, 0x20, 0, 0, /* 1: add [2000h], ebx */
	0xFF, 0xCB,                   /*    dec ebx */
	0x75, 0xF5,                   /*    jnz 1b */
	0x0F, 0x05,                   /*    syscall */
	'h', 'e', 'l', 'l', 'o', '\n'
};

static vcpu *v;
static uint64_t counts[2];

static enum vcpu_hook_answer count(void *user, struct vcpu_hook_event *event)
{
	(void)event;
	++*(uint64_t *)user;
	return VCPU_HOOK_GO;
}

static enum vcpu_hook_answer stored(void *user, struct vcpu_hook_event *event)
{
	(void)user;
	printf("%" PRIx64 "h becomes %" PRIu64 "\n", event->address, event->value);
	return VCPU_HOOK_GO;
}

/* write(RDI, RSI, RDX), once; then it is the end. */
static enum vcpu_hook_answer system_call(void *user, struct vcpu_hook_event *event)
{
	char text[64];
	size_t n = vcpu_get(v, VCPU_RDX);

	(void)user, (void)event;
	if (vcpu_get(v, VCPU_RAX) != 1 || n > sizeof text)
		return VCPU_HOOK_STOP;
	fwrite(text, 1, vcpu_read_linear(v, vcpu_get(v, VCPU_RSI), text, n), stdout);
	vcpu_set(v, VCPU_RAX, n);
	return VCPU_HOOK_SKIP;
}

int main(void)
{
	const struct vcpu_config config = { .bare = true };
	const struct vcpu_hook hooks[] = {
		{ .kinds = VCPU_HOOK_INSN, .observer = true, .call = count, .user = &counts[0] },
		{ .kinds = VCPU_HOOK_EDGE, .observer = true, .call = count, .user = &counts[1] },
		{ .kinds = VCPU_HOOK_WRITE, .first = 0x2000, .last = 0x2003, .observer = true, .call = stored },
		{ .kinds = VCPU_HOOK_INSN, .instruction = "syscall", .call = system_call },
	};

	v = vcpu_new(&config, NULL);
	if (!v || vcpu_map(v, 0x1000, 0x2000) || vcpu_set_mode(v, 64))
		return 1;
	vcpu_write_physical(v, 0x1000, code, sizeof code);
	vcpu_set(v, VCPU_RIP, 0x1000);
	for (unsigned i = 0; i < sizeof hooks / sizeof *hooks; i++)
		if (vcpu_hook_add(v, &hooks[i]) < 0)
			return 1;
	if (vcpu_run(v, 1000000).reason != VCPU_STOP_HOOK)
		return 1;
	printf("%" PRIu64 " instructions, %" PRIu64 " branches\n", counts[0], counts[1]);
	vcpu_free(v);
	return 0;
}
