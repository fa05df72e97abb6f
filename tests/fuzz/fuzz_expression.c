/* SPDX-License-Identifier: MIT */
/* Lines for the debugger's prompt, as gdb's `monitor' may give them too: commands, and expressions in them. The guest
 * halts after some instructions, and nothing wakes it, so that every command that runs it comes to an end. */
#include "tests/fuzz/fuzz.h"
#include "frontends/debugger/debugger.h"
#include "vcpu_snapshot.h"

enum { LINES = 12 };

static vcpu *v;
static vcpu_snapshot *start;
static FILE *null;

static void begin(void)
{
	/* xor ax, ax; mov ds, ax; mov sp, 7000h; mov cx, 20; 1: call 2; loop 1b; int 3; cli; hlt; 2: push bp; mov bp,
	 * sp; inc byte [600h]; out 80h, al; pop bp; ret */
	static const unsigned char code[512] = { 0x31, 0xc0, 0x8e, 0xd8, 0xbc, 0x00, 0x70, 0xb9, 0x14, 0x00, 0xe8, 0x05,
		0x00, 0xe2, 0xfb, 0xcc, 0xfa, 0xf4,
		0x55, 0x89, 0xe5, 0xfe, 0x06, 0x00, 0x06, 0xe6, 0x80, 0x5d, 0xc3, [510] = 0x55, 0xaa };
	struct vcpu_config config = { .memory = MiB, .kernel_data = code, .kernel_size = sizeof code, .processors = 2 };
	char *error = NULL;

	v = vcpu_new(&config, &error);
	if (!v)
		fuzz_fail("%s", error);
	null = fuzz_memory(fopen("/dev/null", "w"));
	vcpu_run(v, 20);
	start = fuzz_memory(vcpu_snapshot_take(v));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct session s = { .no_files = true };
	char *error = NULL;
	u64 hash;

	if (!v)
		begin();
	if (vcpu_snapshot_restore(v, start))
		fuzz_fail("%s", vcpu_error(v));
	hash = vcpu_state_hash(v);
	s.machine = v;
	if (!session_print_to(&s, null))
		fuzz_fail("no memory for a session");
	s.debug = fuzz_memory(vcpu_debug_new(v, NULL, &error));
	if (!symbol_add(&s, 0x7c00, 18, 0, true, "start", 5) || !symbol_add(&s, 0x7c12, 11, 0, true, "count", 5) ||
	    !symbol_add(&s, 0x600, 1, 0, false, "counter", 7))
		fuzz_fail("no memory for symbols");
	symbols_sort(&s);
	for (unsigned i = 0; i < LINES && in.left && !s.quit; i++) {
		const u8 *end = memchr(in.at, '\n', in.left);
		size_t len = end ? (size_t)(end - in.at) : in.left;
		char *line = fuzz_memory(strndup((const char *)in.at, len));

		command(&s, line);
		free(line);
		in.at += len + (end != NULL);
		in.left -= len + (end != NULL);
	}
	session_end(&s);
	vcpu_debug_free(s.debug);
	if (vcpu_snapshot_restore(v, start) || vcpu_state_hash(v) != hash)
		fuzz_fail("the machine does not go back");
	return 0;
}
