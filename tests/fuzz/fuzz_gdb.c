/* SPDX-License-Identifier: MIT */
/* Packets of gdb, or of another client of its port. First byte: the architecture that gdb is told. Then lines. A line
 * is a packet, which gets its $ and a right checksum here. A line that begins with ! is sent as it is, without its end.
 * The stub must answer or hang up. */
#include "tests/fuzz/fuzz.h"
#include "frontends/common/gdb.h"
#include "vcpu_snapshot.h"

enum { ROOM = 1 << 17, RUNS = 20, RUN = 200 };

static vcpu *v;
static vcpu_snapshot *start;
static struct fuzz_file session;

static void begin(void)
{
	/* mov cx, 1000; 1: inc byte [600h]; mov ds, ax; pusha; popa; loop 1b; cli; hlt: a continue without a breakpoint
	 * ends, too */
	static const unsigned char code[512] = { 0xb9, 0xe8, 0x03, 0xfe, 0x06, 0x00, 0x06,         0x8e, 0xd8,
						 0x60, 0x61, 0xe2, 0xf6, 0xfa, 0xf4, [510] = 0x55, 0xaa };
	struct vcpu_config config = { .memory = MiB, .kernel_data = code, .kernel_size = sizeof code, .processors = 2 };
	int null = open("/dev/null", O_WRONLY);
	char *error = NULL;

	v = vcpu_new(&config, &error);
	if (!v || null < 0 || dup2(null, STDOUT_FILENO) < 0)
		fuzz_fail("%s", error ? error : "/dev/null");
	close(null);
	vcpu_run(v, 1000);
	start = fuzz_memory(vcpu_snapshot_take(v));
	session = fuzz_file();
}

static size_t packets(struct input *in, char *out)
{
	size_t n = 0;

	while (in->left && n + in->left + 4 < ROOM) {
		const u8 *end = memchr(in->at, '\n', in->left);
		size_t len = end ? (size_t)(end - in->at) : in->left;
		bool raw = len && *in->at == '!';
		u8 sum = 0;

		for (size_t i = 0; i < len; i++)
			sum = (u8)(sum + in->at[i]);
		if (!raw)
			out[n++] = '$';
		memcpy(out + n, in->at + raw, len - raw);
		n += len - raw;
		if (!raw)
			n += (size_t)sprintf(out + n, "#%02x", sum);
		in->at += len + (end != NULL);
		in->left -= len + (end != NULL);
	}
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const places[] = { "stdio", "stdio,arch=i386", "stdio,arch=x86-64", "stdio,arch=i8086" };
	static char text[ROOM];
	struct input in = { data, size };
	const char *place = places[take(&in, 1) % 4];
	char *error = NULL;
	struct gdb *g;

	if (!v)
		begin();
	fuzz_file_set(session, text, packets(&in, text));
	if (lseek(session.fd, 0, SEEK_SET) || dup2(session.fd, STDIN_FILENO) < 0 || vcpu_snapshot_restore(v, start))
		fuzz_fail("no session");
	g = gdb_open(place, &(struct gdb_options){ 0 }, &error);
	if (!g || !gdb_attach(g, v, NULL, &error))
		fuzz_fail("%s", error ? error : "no memory");
	for (unsigned runs = 0; runs < RUNS && gdb_serve(g) == GDB_RUN; runs++)
		gdb_run(g, RUN);
	gdb_close(g);
	return 0;
}
