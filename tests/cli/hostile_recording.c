/* SPDX-License-Identifier: MIT */
/* Recordings made by somebody who means harm: `vcpu replay' and `vcpu-dbg' must leave the host's files as they are,
 * create none, connect to nothing and wait for nobody. The guests write to their disk or their flash, so that a file
 * that was opened for writing would show it. Called by tests/summary in the build folder; ends with "N passed, N
 * failed". */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include "lib/vcpu_replay.h"
#include "mem/base/field.h"

static int passed, failed, skipped;
static const char *program;
static char debugger[4096];

__attribute__((format(printf, 2, 3)))
static void check(bool ok, const char *format, ...)
{
	va_list ap;

	if (ok) {
		passed++;
		return;
	}
	failed++;
	printf("FAILED: ");
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	putchar('\n');
}

/* ---- files ---- */

static void put_file(const char *name, const void *data, size_t len)
{
	FILE *f = fopen(name, "wb");

	if (!f || fwrite(data, 1, len, f) != len || fclose(f)) {
		perror(name);
		exit(1);
	}
}

static char *get_file(const char *name, size_t *len)
{
	static char data[1 << 16];
	FILE *f = fopen(name, "rb");

	*len = f ? fread(data, 1, sizeof data - 1, f) : 0;
	data[*len] = 0;
	if (f)
		fclose(f);
	return data;
}

enum { DISK = 4096 };
static char contents[DISK]; /* of the disk that the recordings are of, and of the victim's file */

static bool untouched(const char *name)
{
	size_t len;
	const char *now = get_file(name, &len);

	return len == DISK && !memcmp(now, contents, DISK);
}

/* ---- recordings ---- */

static u8 tape[1 << 20];
static size_t have;

static bool append(void *user, const void *data, size_t len)
{
	(void)user;
	memcpy(tape + have, data, len);
	have += len;
	return true;
}

/* It writes its first 512 bytes of memory to sector 0 of the first IDE disk, and ends with debug-exit 0. */
static u8 disk_writer[512] = {
	0xba, 0xf6, 0x01, 0xb0, 0xe0, 0xee,                   /* mov dx, 1f6h; mov al, e0h; out dx, al */
	0xba, 0xf2, 0x01, 0xb0, 0x01, 0xee,                   /* one sector */
	0x42, 0x30, 0xc0, 0xee, 0x42, 0xee, 0x42, 0xee,       /* number 0 */
	0xba, 0xf7, 0x01, 0xb0, 0x30, 0xee,                   /* WRITE SECTORS */
	0xec, 0xa8, 0x08, 0x74, 0xfb,                         /* until DRQ */
	0xba, 0xf0, 0x01, 0x31, 0xf6, 0xb9, 0x00, 0x01, 0xf3, 0x6f,
	0xba, 0xf7, 0x01, 0xb0, 0xe7, 0xee,                   /* FLUSH CACHE */
	0xec, 0xa8, 0x80, 0x75, 0xfb,                         /* until not BSY */
	0xb0, 0x00, 0xe6, 0xf4, 0xf4,                         /* out f4h, 0; hlt */
	[510] = 0x55, 0xaa,
};

/* Firmware of 4 KiB that programs the first byte of the variables below it. */
static u8 flash_writer[4096] = {
	0x2e, 0xc6, 0x06, 0x00, 0xe0, 0x40,                   /* mov byte [cs:e000h], 40h: program */
	0x2e, 0xc6, 0x06, 0x00, 0xe0, 0x50,
	0x2e, 0xc6, 0x06, 0x00, 0xe0, 0xff,                   /* read array */
	0xb0, 0x00, 0xe6, 0xf4, 0xf4,
	[0xff0] = 0xe9, 0x0d, 0xf0,                           /* reset: jmp f000h */
};

/* A run of CONFIG into the tape. */
static void record(const struct vcpu_config *config, bool embed)
{
	struct vcpu_recording r = { .write = append, .embed = embed };
	char *error = NULL;
	vcpu *v;

	have = 0;
	v = vcpu_new(config, &error);
	if (!v || vcpu_record(v, &r)) {
		puts(v ? vcpu_error(v) : error);
		exit(1);
	}
	check(vcpu_run(v, 1000000).reason == VCPU_STOP_DEBUG_EXIT, "the guest that is recorded comes to its end");
	vcpu_record_end(v, NULL);
	vcpu_free(v);
}

static void record_disk(void)
{
	struct vcpu_drive drive = { .image = "copy,snapshot", .bus = VCPU_BUS_IDE };
	struct vcpu_config config = { .memory = 1 << 20,
				      .kernel_data = disk_writer,
				      .kernel_size = sizeof disk_writer,
				      .drives = &drive,
				      .drives_count = 1 };

	record(&config, true);
}

static void put_chunk(FILE *f, u32 kind, const void *data, size_t len, size_t full)
{
	u8 head[16];

	put32(head, kind);
	put32(head + 4, (u32)len);
	put32(head + 8, (u32)full);
	put32(head + 12, (u32)hash64(hash64(0, head, 12), data, len));
	fwrite(head, 1, sizeof head, f);
	fwrite(data, 1, len, f);
}

enum { CONFIG = 1, IMAGE, START, INPUT };

/* The tape as file evil.vrr, with the configuration TEXT, as of VERSION, without images of role LESS. */
static void forge(const char *text, u32 version, char less)
{
	FILE *f = fopen("evil.vrr", "wb");
	u8 head[16];

	memcpy(head, tape, sizeof head);
	put32(head + 8, version);
	fwrite(head, 1, sizeof head, f);
	put_chunk(f, CONFIG, text, strlen(text), strlen(text));
	for (size_t at = 16 + 16 + get32(tape + 20); at < have; at += 16 + get32(tape + at + 4)) {
		u32 kind = get32(tape + at), len = get32(tape + at + 4), full = get32(tape + at + 8);
		u8 old[256];
		uLongf room = sizeof old;
		bool packed = len != full;

		if (kind == IMAGE && less &&
		    ((packed && uncompress(old, &room, tape + at + 16, len) != Z_MEM_ERROR) || !packed)) {
			/* a role is the first byte, also of what did not fit */
			if ((packed ? old[0] : tape[at + 16]) == (u8)less)
				continue;
		}
		if (kind == START && version == 2) { /* no sizes */
			memcpy(old, tape + at + 16, len);
			for (u32 i = 0; i < (len - 8) / 16; i++)
				memmove(old + 8 + 8 * i, old + 8 + 16 * i, 8);
			len = full = 8 + (len - 8) / 2;
			put_chunk(f, kind, old, len, full);
			continue;
		}
		put_chunk(f, kind, tape + at + 16, len, full);
	}
	fclose(f);
}

__attribute__((format(printf, 1, 2)))
static void forge_disk(const char *format, ...)
{
	char text[8192] = "memory=1048576\ndrive=ide,disk,";
	size_t len = strlen(text);
	va_list ap;

	va_start(ap, format);
	vsnprintf(text + len, sizeof text - len - 1, format, ap);
	va_end(ap);
	forge(strcat(text, "\n"), 3, 0);
}

/* ---- runs ---- */

static char said[65536];   /* standard error */
static long resident;      /* KiB, of the last run */

static pid_t start(char *const argv[])
{
	pid_t pid = fork();

	if (!pid) {
		int out = open("out", O_WRONLY | O_CREAT | O_TRUNC, 0666),
		    err = open("err", O_WRONLY | O_CREAT | O_TRUNC, 0666);
		int in = open("/dev/null", O_RDONLY);

		dup2(in, 0);
		dup2(out, 1);
		dup2(err, 2);
		execv(argv[0], argv);
		_exit(127);
	}
	return pid;
}

/* Its exit status, or 128 + the signal that ended it. */
static int end(pid_t pid)
{
	struct rusage usage;
	size_t len;
	int status = 0, ms = 0;

	while (!wait4(pid, &status, WNOHANG, &usage) && ms++ < 30000)
		usleep(1000);
	if (ms > 30000) {
		kill(pid, SIGKILL);
		wait4(pid, &status, 0, &usage);
	}
	resident = usage.ru_maxrss;
	strcpy(said, get_file("err", &len));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int run(const char *option, ...)
{
	char *argv[16] = { (char *)program, "replay" };
	unsigned n = 2;
	va_list ap;

	va_start(ap, option);
	for (const char *word = option; word; word = va_arg(ap, const char *))
		argv[n++] = (char *)word;
	va_end(ap);
	argv[n] = "evil.vrr";
	return end(start(argv));
}

static int debug(void)
{
	return end(start((char *[]){ debugger, "-e", "continue", "evil.vrr", NULL }));
}

/* Refused in a line that has WORDS. */
static void refused(const char *what, const char *words)
{
	int status = run(NULL);

	check(status == 2, "%s: status %d, expected 2: %s", what, status, said);
	check(strstr(said, words) && strchr(said, '\n') == said + strlen(said) - 1, "%s: not one line with '%s': %s",
	      what, words, said);
	check(debug() == 2, "%s: vcpu-dbg opens it", what);
}

static bool there(const char *name)
{
	struct stat st;

	return !lstat(name, &st);
}

/* ---- the cases ---- */

static void victims(void)
{
	char here[2048];
	int status;
	static const char *const names[] = { "victim", "./victim", "link", "victim,snapshot", "victim,readonly", NULL };

	if (!getcwd(here, sizeof here) || symlink("victim", "link"))
		exit(1);
	for (const char *const *name = names; *name; name++) {
		forge_disk("%s", *name);
		status = run(NULL);
		check(status == 1 || strstr(*name, "readonly"), "drive %s: status %d: %s", *name, status, said);
		check(untouched("victim"), "drive %s: vcpu replay writes to it", *name);
		run("--live", "--to", "1000000", NULL);
		check(untouched("victim"), "drive %s: vcpu replay --live writes to it", *name);
		debug();
		check(untouched("victim"), "drive %s: vcpu-dbg writes to it", *name);
	}
	forge_disk("../%s/victim", strrchr(here, '/') + 1);
	check(run(NULL) == 1, "drive ../: %s", said);
	check(untouched("victim"), "drive ../: it is written");

	memset(contents, 'x', 512);
	put_file("other", contents, DISK);
	memset(contents, 0, 512);
	forge_disk("other");
	refused("a disk with other contents", "other is not what it was");
	put_file("other", contents, DISK - 512);
	refused("a disk of another size", "other has 3584 bytes, but had 4096");
	unlink("other");
	refused("a disk that is not there", "other: cannot read");
	check(run("--path", "other=victim", NULL) == 1, "--path: %s", said);
	check(untouched("victim"), "--path: it is written");
	forge_disk("gone/victim");
	check(run("--path", "gone=.", NULL) == 1, "--path with a folder: %s", said);
	check(untouched("victim"), "--path with a folder: it is written");
}

static void overlays(void)
{
	forge_disk("victim,overlay=new");
	check(run(NULL) == 1, "an overlay that is gone: %s", said);
	check(!there("new"), "an overlay is created");
	debug();
	check(!there("new"), "vcpu-dbg creates an overlay");
	if (symlink("target", "dangling"))
		exit(1);
	forge_disk("victim,overlay=dangling");
	run(NULL);
	check(!there("target"), "an overlay is created where a link leads");
	put_file("empty", "", 0);
	forge_disk("victim,overlay=empty,overlay=empty");
	run(NULL);
	check(untouched("victim") && !get_file("empty", &(size_t){ 0 })[0], "an empty file becomes an overlay");
	forge_disk("copy,overlay=victim");
	run(NULL);
	check(untouched("victim"), "an overlay is written");
	mkfifo("fifo", 0600);
	forge_disk("victim,overlay=fifo");
	check(run(NULL) == 1, "an overlay that is a FIFO: %s", said);
}

/* A writer who waits at the FIFO's other end must go on waiting. */
static void not_regular(void)
{
	pid_t writer = fork();
	int status;

	if (!writer) {
		alarm(60);
		_exit(open("fifo", O_WRONLY) < 0);
	}
	usleep(50000);
	mkdir("folder", 0700);
	for (const char *const *name = (const char *const[]){ "fifo", "folder", "/dev/null", "/dev/zero", "/dev/tty",
							      "/dev/stdin", "/proc/self/maps", "/proc/self/mem", NULL };
	     *name; name++) {
		static const char *const keys[] = { "kernel", "bios", "kernel=victim\ninitrd", NULL };
		char text[400];

		forge_disk("%s", *name);
		refused(*name, *name);
		for (const char *const *key = keys; *key && !strchr(*name + 1, '/'); key++) {
			if (!strncmp(*key, "kernel=", 7))
				put_file("boot", disk_writer, sizeof disk_writer);
			snprintf(text, sizeof text, "memory=1048576\n%s=%s\ndrive=ide,disk,victim\n", *key, *name);
			forge(text, 3, strncmp(*key, "kernel", 6) ? 0 : 'k');
			status = run(NULL);
			check(status == 2, "%s=%s: status %d: %s", *key, *name, status, said);
		}
		snprintf(text, sizeof text, "memory=1048576\nvars=%s\nbios=firmware\n", *name);
		forge(text, 3, 'k');
		check(run(NULL) == 2, "vars=%s: %s", *name, said);
	}
	check(!waitpid(writer, &status, WNOHANG), "a FIFO is opened");
	kill(writer, SIGKILL);
	waitpid(writer, &status, 0);
}

/* Does somebody connect within MS? */
static bool connected(int listener, int ms)
{
	for (; ms > 0; ms -= 10) {
		int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);

		if (fd >= 0) {
			close(fd);
			return true;
		}
		usleep(10000);
	}
	return false;
}

static void network(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "socket" };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool heard;
	pid_t pid;

	if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 9)) {
		perror("socket");
		exit(1);
	}
	for (const char *const *name =
		     (const char *const[]){ "nbd:unix:socket", "nbd:nbd+unix:///?socket=socket", NULL };
	     *name; name++) {
		forge_disk("%s", *name);
		refused(*name, "connects to nothing");
		run("--path", "nbd:=nbd:", NULL);
		run("--path", "other=victim", NULL);
		check(!connected(listener, 100), "%s is connected to", *name);
	}
	forge_disk("socket");
	refused("a socket", "socket: that is not a regular file");
	check(!connected(listener, 100), "a socket is connected to");

	/* The same listener hears what is allowed. */
	forge_disk("nbd:unix:socket");
	pid = start((char *[]){ (char *)program, "replay", "--allow-nbd", "evil.vrr", NULL });
	heard = connected(listener, 5000);
	end(pid);
	if (strstr(said, "without libnbd"))
		skipped++;
	else
		check(heard, "--allow-nbd: nobody connects: %s", said);
	check(run("--path", "nbd:unix:socket=victim", NULL) != 2 || strstr(said, "is not what it was"),
	      "an nbd: that is a file now: %s", said);
	close(listener);
}

static void other_keys(void)
{
	for (const char *const *line = (const char *const[]){ "serial=file:new", "pcap=new", "record=new",
							      "screenshot=new", "sound=file:new", "net=user",
							      "drive=ide,disk,a\033]0;b", "bios=\nx", NULL };
	     *line; line++) {
		char text[200];

		snprintf(text, sizeof text, "memory=1048576\n%s\ndrive=ide,disk,victim\n", *line);
		forge(text, 3, 0);
		check(run(NULL) == 2 && !strchr(said, 033), "%s: %s", *line, said);
		check(!there("new"), "%s: a file is made", *line);
	}
	forge("memory=1048576\nshare=/etc\ndrive=ide,disk,victim\n", 3, 0);
	run("--live", "--to", "1000000", NULL);
	check(untouched("victim"), "share=: the disk is written");
}

/* The firmware's variables are in the recording, so that an honest one can be repeated as often as one likes; one that
 * was made before that names a file, which is read. */
static void variables(void)
{
	struct vcpu_config config = { .memory = 1 << 20, .bios = "firmware", .vars = "vars", .display = "none" };
	static char vars[4096], now[4096];
	size_t len;

	memset(vars, 0xff, sizeof vars);
	put_file("vars", vars, sizeof vars);
	record(&config, false);
	check((u8)*get_file("vars", &len) == 'P', "the recorded run writes its variables");
	put_file("evil.vrr", tape, have);
	memcpy(now, get_file("vars", &len), sizeof now);
	for (int i = 0; i < 2; i++) {
		check(run("--verify", NULL) == 1, "variables, replay %d: %s", i + 1, said);
		check(!memcmp(get_file("vars", &len), now, sizeof now), "variables, replay %d: the file is written",
		      i + 1);
	}
	put_file("vars", vars, sizeof vars);
	for (int i = 0; i < 2; i++) {
		forge("memory=1048576\nbios=firmware\nvars=vars\ndisplay=none\n", 2, 'v');
		check(run(NULL) == 1, "variables of version 2: %s", said);
		check(!memcmp(get_file("vars", &len), vars, sizeof vars),
		      "variables of version 2: the file is written");
	}
	put_file("vars", now, sizeof now);
	check(run(NULL) == 2 && strstr(said, "is not what was recorded"),
	      "variables of version 2 that have changed: %s", said);
}

/* An overlay that has something already is changed by the run that is recorded. */
static void honest_overlay(void)
{
	struct vcpu_drive drive = { .image = "copy,overlay=cow", .bus = VCPU_BUS_IDE };
	struct vcpu_config config = { .memory = 1 << 20,
				      .kernel_data = disk_writer,
				      .kernel_size = sizeof disk_writer,
				      .drives = &drive,
				      .drives_count = 1 };
	static char before[65536];
	size_t len, now;

	record(&config, true);
	put_file("evil.vrr", tape, have);
	check(run("--verify", NULL) == 1, "an overlay that was new: %s", said);
	memcpy(disk_writer + 0x22, "\x89\xe6", 2); /* mov si, sp: it writes something else, itself */
	record(&config, true);
	put_file("evil.vrr", tape, have);
	memcpy(before, get_file("cow", &len), sizeof before);
	for (int i = 0; i < 2; i++) {
		check(run("--verify", NULL) == 1, "an overlay that was not new, replay %d: %s", i + 1, said);
		check(!memcmp(get_file("cow", &now), before, len) && now == len,
		      "an overlay that was not new is written");
	}
	unlink("cow");
	check(run("--verify", NULL) == 1 && !there("cow"), "an overlay that is gone: %s", said);
}

/* ---- bombs ---- */

static void bomb(const char *what, u32 kind, const char *before, size_t full)
{
	uLongf room = compressBound(full);
	u8 *zeroes = calloc(1, full), *out = malloc(room);
	FILE *f;

	if (!zeroes || !out || compress2(out, &room, zeroes, full, 9) != Z_OK) {
		skipped++;
	} else {
		put_file("evil.vrr", tape, 16);
		f = fopen("evil.vrr", "ab");
		for (size_t at = 16; !strchr(before, '0' + (char)get32(tape + at)); at += 16 + get32(tape + at + 4))
			fwrite(tape + at, 1, 16 + get32(tape + at + 4), f);
		for (int i = 0; i < 16; i++)
			put_chunk(f, kind, out, room, full);
		fclose(f);
		refused(what, "would unpack to");
		check(resident < 60000, "%s: %ld KiB", what, resident);
	}
	free(zeroes);
	free(out);
}

/* Each is small enough; a debugger would keep them all. */
static void too_many_inputs(void)
{
	static u8 zeroes[2 << 20], out[1 << 16];
	uLongf room = sizeof out;
	size_t at = 16;
	FILE *f;

	compress2(out, &room, zeroes, sizeof zeroes, 9);
	while (get32(tape + at) <= START)
		at += 16 + get32(tape + at + 4);
	put_file("evil.vrr", tape, at);
	f = fopen("evil.vrr", "ab");
	for (int i = 0; i < 513; i++)
		put_chunk(f, INPUT, out, room, sizeof zeroes);
	fclose(f);
	check(debug() == 2 && strstr(said, "would unpack to 1026 MiB"), "many inputs: %s", said);
	check(resident < 60000, "many inputs: %ld KiB", resident);
	check(run(NULL) == 14, "many inputs, replayed: %s", said);
	check(resident < 60000, "many inputs, replayed: %ld KiB", resident);
}

int main(void)
{
	char folder[] = "/tmp/hostile.XXXXXX", clean[100], path[2048];

	program = realpath(getenv("VCPU") ? getenv("VCPU") : "./vcpu", NULL);
	if (!program || !getcwd(path, sizeof path) || !mkdtemp(folder) || chdir(folder)) {
		perror("hostile_recording");
		return 1;
	}
	snprintf(debugger, sizeof debugger, "%s-dbg", program);
	memset(contents + 512, '#', sizeof contents - 512);
	put_file("copy", contents, DISK);
	put_file("victim", contents, DISK);
	put_file("firmware", flash_writer, sizeof flash_writer);
	record_disk();
	victims();
	overlays();
	not_regular();
	network();
	other_keys();
	bomb("inputs that unpack to 80 MiB", INPUT, "456", 80 << 20);
	bomb("a kernel that unpacks to 80 MiB", IMAGE, "2", 80 << 20);
	bomb("a configuration that unpacks to 16 MiB", CONFIG, "1", 16 << 20);
	bomb("a beginning that unpacks to 16 MiB", START, "3", 16 << 20);
	bomb("states that unpack to 80 MiB", 5, "456", 80 << 20);
	too_many_inputs();
	variables();
	honest_overlay();
	check(untouched("victim"), "the victim's file is written");
	if (chdir("/"))
		return 1;
	snprintf(clean, sizeof clean, "rm -rf %s", folder);
	if (system(clean))
		perror(clean);
	printf("%d passed, %d failed", passed, failed);
	if (skipped)
		printf(", %d skipped", skipped);
	putchar('\n');
	return failed != 0;
}
