/* SPDX-License-Identifier: MIT */
/* Symbol files: ELF with DWARF, System.map. First byte: bit 0 with an offset; then the file. Its symbols are asked for
 * as a user would, at the place where the guest stands and by names that the corpus has. */
#include "tests/fuzz/fuzz.h"
#include "frontends/debugger/debugger.h"
#include "vcpu_snapshot.h"

static vcpu *v;
static vcpu_debug *debug;
static struct fuzz_file file;

static const char *const commands[] = {
	"backtrace 5", "list", "list main", "info locals", "print count", "print *pair", "print pair->next",
		"ptype pair", "ptype struct pair", "print counter", "print (enum color)1",
	"print main", "disassemble main", "x/4a $rsp", "x/2i main", "break seed.c:3", "info symbol 0x7c05", "frame 1",
	"info locals", "print table", "print &table[1].name", "step", "next",
};

static void begin(void)
{
	/* mov sp, 7b00h; nop ...; call 1f; cli; hlt; 1: nop; ret */
	static const unsigned char code[512] = { [0] = 0xbc, 0x00, 0x7b, 0x90, 0x90, 0x90,         0xe8, 0x02,
						 0x00,       0xfa, 0xf4, 0x90, 0xc3, [510] = 0x55, 0xaa };
	struct vcpu_config config = { .memory = MiB, .kernel_data = code, .kernel_size = sizeof code };
	char *error = NULL;

	v = vcpu_new(&config, &error);
	debug = v ? vcpu_debug_new(v, NULL, &error) : NULL;
	if (!debug)
		fuzz_fail("%s", error);
	file = fuzz_file();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct session s = { 0 };
	uint64_t offset = 0x1000;
	char *text = NULL;
	size_t len = 0;
	FILE *to;
	bool moved = take(&in, 1) & 1;

	if (!v)
		begin();
	s.machine = v;
	s.debug = debug;
	to = fuzz_memory(open_memstream(&text, &len));
	if (!session_print_to(&s, to))
		fuzz_fail("no memory for a session");
	fuzz_file_set(file, in.at, in.left);
	symbols_read(&s, file.path, moved ? &offset : NULL);
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		command(&s, commands[i]);
	session_end(&s);
	fclose(to);
	for (size_t i = 0; i < len; i++)
		if ((u8)text[i] < ' ' && text[i] != '\n' && text[i] != '\t')
			fuzz_fail("a file's name steers the terminal: %.*s", (int)len, text);
	free(text);
	if (vcpu_debug_seek(debug, vcpu_debug_start(debug)).what == VCPU_DEBUG_ERROR)
		fuzz_fail("%s", vcpu_error(v));
	return 0;
}
