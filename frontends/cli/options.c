/* SPDX-License-Identifier: MIT */
/* The options of the commands that run a machine. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <vcpu_debug.h>

#include "cli.h"
#include "gdb.h"

bool options_size(const char *text, uint64_t *size)
{
	static const char suffixes[] = "KMGT";
	unsigned long long n;
	unsigned shift = 0;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno)
		return false;
	if (*end) {
		const char *s = strchr(suffixes, *end);

		if (!s || end[1])
			return false;
		shift = 10 * (unsigned)(s - suffixes + 1);
	}
	if (n > UINT64_MAX >> shift)
		return false;
	*size = (uint64_t)n << shift;
	return true;
}

bool options_number(const char *option, const char *text, uint64_t *n)
{
	char *end;

	errno = 0;
	*n = strtoull(text, &end, 0);
	if (*text >= '0' && *text <= '9' && !*end && !errno)
		return true;
	complain("--%s %s: not a number", option, text);
	return false;
}

bool options_time(const char *option, const char *text, uint64_t *ns)
{
	static const struct { const char *suffix; uint64_t ns; } units[] = {
		{ "ns", 1 }, { "us", 1000 }, { "ms", 1000000 }, { "s", 1000000000 }, { "m", 60000000000 },
	};
	unsigned long long n;
	char *end;

	errno = 0;
	n = strtoull(text, &end, 10);
	for (unsigned i = 0; *text >= '0' && *text <= '9' && !errno && n && i < sizeof units / sizeof *units; i++) {
		if (strcmp(end, units[i].suffix) || n >= UINT64_MAX / units[i].ns)
			continue;
		*ns = n * units[i].ns;
		return true;
	}
	complain("--%s %s: not a time, like 500ms, 30s or 2m", option, text);
	return false;
}

void options_limit_time(const struct run_options *o, vcpu *machine, uint64_t ns_q16)
{
	unsigned __int128 asleep = (unsigned __int128)o->limit * (ns_q16 ? ns_q16 : 65536) >> 16;

	vcpu_limit_time(machine, o->limit_time ? o->limit_time : UINT64_MAX,
			o->limit && asleep < UINT64_MAX ? (uint64_t)asleep : UINT64_MAX);
}

static bool is_place(const char *text)
{
	return !strcmp(text, "stdio") || !strcmp(text, "null") || (!strncmp(text, "file:", 5) && text[5]);
}

bool options_place(const char *option, const char *text)
{
	if (is_place(text))
		return true;
	complain("--%s %s: not one of stdio, null and file:PATH", option, text);
	return false;
}

void options_stdio(struct run_options *o)
{
	for (unsigned i = 0; i < VCPU_CHANNELS && gdb_takes_stdio(o->gdb); i++)
		if (o->where[i] && !strcmp(o->where[i], "stdio"))
			o->where[i] = "null";
}

/* ---- functions of options. NAME is the option's, TEXT its value. False, having complained. ---- */

struct parsing {
	struct run_options *o;
	const char *command;
	bool demo, window;
	int *status;               /* if it stops here */
};
typedef bool set_fn(struct parsing *p, const char *name, const char *text, void *at);

static bool set_text(struct parsing *p, const char *name, const char *text, void *at)
{
	(void)p, (void)name;
	*(const char **)at = text;
	return true;
}

/* An input that a demo brings itself. */
static bool set_guest(struct parsing *p, const char *name, const char *text, void *at)
{
	if (!p->demo)
		return set_text(p, name, text, at);
	complain("demo has its own guest: --kernel, --initrd, --append, --bios and --vars are options of vcpu run");
	return false;
}

static bool set_flag(struct parsing *p, const char *name, const char *text, void *at)
{
	(void)p, (void)name, (void)text;
	return *(bool *)at = true;
}

static bool set_number(struct parsing *p, const char *name, const char *text, void *at)
{
	(void)p;
	return options_number(name, text, at);
}

static bool set_time(struct parsing *p, const char *name, const char *text, void *at)
{
	(void)p;
	return options_time(name, text, at);
}

static bool set_place(struct parsing *p, const char *name, const char *text, void *at)
{
	return set_text(p, name, text, at) && options_place(name, text);
}

static bool set_console(struct parsing *p, const char *name, const char *text, void *at)
{
	return p->o->config.console = set_place(p, name, text, at);
}

static bool set_sound(struct parsing *p, const char *name, const char *text, void *at)
{
	p->o->config.sound = true;
	return (p->window && !strcmp(text, "window")) || set_place(p, name, text, at);
}

/* A number from 1 to MOST. */
static bool small_number(const char *name, const char *text, unsigned most, const char *why, unsigned *n)
{
	uint64_t value;

	if (!options_number(name, text, &value))
		return false;
	*n = (unsigned)value;
	if (value && value <= most)
		return true;
	complain("--%s %s: %s", name, text, why);
	return false;
}

static bool set_processors(struct parsing *p, const char *name, const char *text, void *at)
{
	(void)p;
	return small_number(name, text, 64, "a machine has 1 to 64 processors", at);
}

static bool set_scale(struct parsing *p, const char *name, const char *text, void *at)
{
	(void)p;
	return small_number(name, text, 16, "a scale is from 1 to 16", at);
}

static bool set_limit(struct parsing *p, const char *name, const char *text, void *at)
{
	if (!set_number(p, name, text, at))
		return false;
	if (*(uint64_t *)at)
		return true;
	complain("--limit 0: the smallest limit is 1");
	return false;
}

/* The library allocates RAM lazily, but a size beyond the host's memory is a typing error. */
static bool set_memory(struct parsing *p, const char *name, const char *text, void *at)
{
	long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
	uint64_t *size = at;

	(void)p, (void)name;
	if (!options_size(text, size)) {
		complain("--memory %s: not a size, like 256M or 4G", text);
		return false;
	}
	if (!*size) {
		complain("--memory %s: a machine has at least 1 MiB", text);
		return false;
	}
	if (pages > 0 && page > 0 && *size / (uint64_t)page >= (uint64_t)pages) {
		complain("--memory %s: this host has only %llu MiB", text,
			 (unsigned long long)((uint64_t)pages * (uint64_t)page >> 20));
		return false;
	}
	return true;
}

/* [BUS:]IMAGE for --NAME into the next drive. */
static bool set_drive(struct parsing *p, const char *name, const char *image, void *at)
{
	static const char *const buses[] = {
		[VCPU_BUS_IDE] = "ide:", [VCPU_BUS_AHCI] = "ahci:", [VCPU_BUS_VIRTIO] = "virtio:"
	};
	struct run_options *o = p->o;
	struct vcpu_drive *d = &o->drives[o->config.drives_count];

	(void)at;
	if (o->config.drives_count == VCPU_DRIVES) {
		complain("--%s %s: a machine has at most %u drives", name, image, VCPU_DRIVES);
		return false;
	}
	*d = (struct vcpu_drive){ image, !strcmp(name, "floppy") ? VCPU_BUS_FLOPPY : !strcmp(name, "medium")
		? VCPU_BUS_SHELF : VCPU_BUS_IDE,
		!strcmp(name, "cdrom") };
	for (unsigned i = 0; d->bus == VCPU_BUS_IDE && i < sizeof buses / sizeof *buses; i++) {
		if (strncmp(image, buses[i], strlen(buses[i])))
			continue;
		d->bus = (enum vcpu_bus)i;
		d->image += strlen(buses[i]);
		break;
	}
	if (!*d->image && (d->bus == VCPU_BUS_FLOPPY || d->cdrom))
		d->image = NULL;
	o->config.drives_count++;
	return true;
}

static bool set_load(struct parsing *p, const char *name, const char *text, void *at)
{
	struct run_options *o = p->o;

	(void)at;
	if (o->config.loads_count == VCPU_LOADS) {
		complain("--%s %s: a machine has at most %u of them", name, text, VCPU_LOADS);
		return false;
	}
	o->loads[o->config.loads_count++] = text;
	return true;
}

static bool set_boot(struct parsing *p, const char *name, const char *text, void *at)
{
	if (*text && strspn(text, "acdn") == strlen(text))
		return set_text(p, name, text, at);
	complain("--boot %s: not of the letters a (floppy), c (disk), d (CD-ROM), n (network)", text);
	return false;
}

static bool set_mac(struct parsing *p, const char *name, const char *text, void *at)
{
	uint8_t *out = at;
	int end = 0;

	(void)p, (void)name;
	if (sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", out, out + 1, out + 2, out + 3, out + 4, out + 5,
		   &end) == 6 &&
	    !text[end])
		return true;
	complain("--mac %s: not an address, like 52:54:00:12:34:56", text);
	return false;
}

/* The first --serial is COM1, the second one COM2, and so on. */
static bool set_serial(struct parsing *p, const char *name, const char *where, void *at)
{
	static const enum vcpu_channel channels[] = { VCPU_COM1, VCPU_COM2, VCPU_COM3, VCPU_COM4 };
	struct run_options *o = p->o;

	(void)name, (void)at;
	for (unsigned i = 0; i < sizeof channels / sizeof *channels; i++) {
		if (o->where[channels[i]])
			continue;
		o->where[channels[i]] = where;
		if (is_place(where) || !strcmp(where, "pty") || (!strncmp(where, "unix:", 5) && where[5]))
			return true;
		complain("--serial %s: not one of stdio, null, file:PATH, pty and unix:PATH", where);
		return false;
	}
	complain("--serial %s: a machine has four serial ports", where);
	return false;
}

/* KIND[,KIND]...[=FILE] */
static bool set_log(struct parsing *p, const char *name, const char *text, void *at)
{
	static const struct { const char *name; unsigned kinds; } known[] = {
		{ "int", VCPU_EVENT_EXCEPTION | VCPU_EVENT_INTERRUPT }, { "reset", VCPU_EVENT_RESET },
		{ "cpu_reset", VCPU_EVENT_RESET },
		{ "guest-errors", LOG_GUEST_ERRORS }, { "guest_errors", LOG_GUEST_ERRORS }, { "port", VCPU_EVENT_PORT },
		{ "mmio", VCPU_EVENT_MMIO }, { "msr", VCPU_EVENT_MSR },
	};
	const char *kind = text, *file = strchr(text, '=');
	size_t len;

	(void)at;
	for (;; kind += len + 1) {
		size_t i = 0;

		len = strcspn(kind, ",=");
		while (i < sizeof known / sizeof *known &&
		       (strlen(known[i].name) != len || strncmp(known[i].name, kind, len)))
			i++;
		if (i == sizeof known / sizeof *known || (file && !file[1])) {
			complain("--%s %s: not KIND[,KIND]...[=FILE], of int, reset, guest-errors, port, mmio, msr",
				 name, text);
			return false;
		}
		p->o->log |= known[i].kinds;
		if (kind[len] != ',')
			break;
	}
	p->o->log_file = file ? file + 1 : NULL;
	return true;
}

bool options_engine(const char *option, const char *text, enum vcpu_engine *engine)
{
	static const char *const names[] = {
		[VCPU_ENGINE_INTERPRETER] = "interpreter", [VCPU_ENGINE_STITCHED] = "stitched"
	};

	for (unsigned i = VCPU_ENGINE_INTERPRETER; i <= VCPU_ENGINE_STITCHED; i++)
		if (!strcmp(text, names[i])) {
			*engine = (enum vcpu_engine)i;
			return true;
		}
	complain("--%s %s: the engines are interpreter and stitched", option, text);
	return false;
}

static bool add_control(struct parsing *p, const char *name, const char *text, void *at)
{
	(void)at;
	if (p->o->ncontrols == CONTROL_SOCKETS) {
		complain("--%s %s: there are at most %d of them", name, text, CONTROL_SOCKETS);
		return false;
	}
	p->o->controls[p->o->ncontrols++] = text;
	return true;
}

static bool set_engine(struct parsing *p, const char *name, const char *text, void *at)
{
	(void)p;
	return options_engine(name, text, at);
}

static bool set_display(struct parsing *p, const char *name, const char *text, void *at)
{
	p->o->text = !strcmp(text, "text");
	if (!p->o->text && strcmp(text, "vga") && strcmp(text, "none")) {
		complain("--%s %s: that is neither vga, text nor none", name, text);
		return false;
	}
	return set_text(p, name, p->o->text ? "vga" : text, at);
}

static bool set_serial_speed(struct parsing *p, const char *name, const char *text, void *at)
{
	(void)p;
	*(bool *)at = !strcmp(text, "instant");
	if (*(bool *)at || !strcmp(text, "line"))
		return true;
	complain("--%s %s: that is neither line nor instant", name, text);
	return false;
}

static bool set_model(struct parsing *p, const char *name, const char *text, void *at)
{
	if (strcmp(text, "help"))
		return set_text(p, name, text, at);
	for (const char *const *m = vcpu_models(); *m; m++)
		puts(*m);
	*p->status = STATUS_OK;
	return false;
}

static bool set_paravirt(struct parsing *p, const char *name, const char *text, void *at)
{
	(void)p, (void)name;
	*(bool *)at = !strcmp(text, "kvm");
	if (!*(bool *)at && strcmp(text, "none"))
		complain("--paravirt takes kvm or none, not '%s'", text);
	return *(bool *)at || !strcmp(text, "none");
}

static bool set_rtc(struct parsing *p, const char *name, const char *text, void *at)
{
	if (strcmp(text, "now"))
		return set_number(p, name, text, at);
	*(uint64_t *)at = (uint64_t)time(NULL);
	return true;
}

static bool add_to_script(struct parsing *p, const char *name, const char *text, void *at)
{
	(void)p, (void)at;
	return script_add(!strcmp(name, "expect"), text);
}

static set_fn show_help, show_version;

/* ---- the options: all that is to be said about one is its row ---- */

#define IN(member) offsetof(struct run_options, member)
#define WHERE(channel) IN(where[0]) + (channel) * sizeof(char *)

static const struct row {
	const char *name, *value;  /* value: its name in --help; NULL: there is none */
	set_fn *set;
	size_t at;                 /* the member of struct run_options that it sets */
	bool starts;               /* it names an image to start from: a demo's help leaves it out */
	const char *help;          /* lines */
} rows[] = {
	{ "kernel", "FILE", set_guest, IN(config.kernel), true,
	  "boot FILE: a Linux bzImage, a multiboot 1 or 2 image, an ELF file with a PVH\nnote, or a flat image" },
	{ "initrd", "FILE", set_guest, IN(config.initrd), true,
	  "pass FILE as the initial RAM disk; multiboot modules: \"FILE ARGS,FILE ARGS\"" },
	{ "append", "TEXT", set_guest, IN(config.append), true, "pass TEXT as the kernel's command line" },
	{ "load", "ADDRESS=FILE", set_load, 0, true,
	  "load a file, or ADDRESS=hex:BYTES, into RAM; may repeat" },
	{ "bios", "FILE", set_guest, IN(config.bios), true,
	  "start this firmware; OVMF boots a Linux --kernel [SeaBIOS, with drives or a\ndisplay and no kernel]" },
	{ "vars", "FILE", set_guest, IN(config.vars), true, "keep the firmware's variables in FILE[,snapshot] [none]" },
	{ "disk", "SPEC", set_drive, 0, true,
	  "add a disk: [ide:|ahci:|virtio:]FILE[,OPTION]...; options are readonly,\n"
	  "snapshot, overlay=FILE, offset=BYTES, size=BYTES; FILE may be nbd:URI" },
	{ "ide", NULL, set_flag, IN(config.ide), false,
	  "add an IDE controller even without IDE drives; its ports report no drive [with\n--bios or an IDE drive]" },
	{ "cdrom", "SPEC", set_drive, 0, true, "add a CD-ROM drive: [ide:|ahci:]FILE; \"\" is an empty drive" },
	{ "floppy", "SPEC", set_drive, 0, true, "add a floppy drive: FILE[,OPTION]...; \"\" is an empty drive" },
	{ "medium", "SPEC", set_drive, 0, true, "add a medium for the drive before it; Ctrl-A N inserts the next one" },
	{ "boot", "LETTERS", set_boot, IN(config.boot), true,
	  "set the boot order: letters of a floppy, c disk, d CD-ROM, n network [cda]" },
	{ "memory", "SIZE", set_memory, IN(config.memory), false,
	  "set the size of RAM, with a suffix K, M, G or T [128M]" },
	{ "cpu", "MODEL", set_model, IN(config.cpu), false,
	  "set the processor: MODEL[,+FEATURE|,-FEATURE]...; \"help\" lists the models,\nzen is zen3 [max]" },
	{ "paravirt", "KIND", set_paravirt, IN(paravirt), false,
	  "give the guest a hypervisor's interface: kvm (as --cpu MODEL,+kvm), or none [none]" },
	{ "smp", "N", set_processors, IN(config.processors), false,
	  "set the number of processors, which run in turns: 1 to 64 [1]" },
	{ "nic", "KIND", set_text, IN(config.nic), false,
	  "add a network adapter: virtio, e1000, ne2000 or none [virtio with --net, else\nnone]" },
	{ "mac", "ADDRESS", set_mac, IN(config.mac), false, "set the adapter's address [52:54:00:12:34:56]" },
	{ "net", "NETWORK", set_text, IN(net), false,
	  "connect the adapter: none, or user[,OPTION]..., a private network with DHCP, DNS\n"
	  "and a gateway; options are restrict (no outside access) and\n"
	  "hostfwd=tcp|udp:[ADDRESS]:PORT-[ADDRESS]:PORT [none]" },
	{ "pcap", "FILE", set_text, IN(pcap), false,
	  "write the adapter's frames to FILE in pcap format, at virtual times" },
	{ "share", "DIRECTORY", set_text, IN(share), false,
	  "share DIRECTORY[,rw][,tag=NAME] by virtio 9P [read only, tag=share]" },
	{ "console", "WHERE", set_console, WHERE(VCPU_CONSOLE), false,
	  "add a virtio console: stdio, null or file:PATH [no console]" },
	{ "test-ports", NULL, set_flag, IN(config.test_ports), false,
	  "add QEMU's pc-testdev, and the ports that end a run on other emulators:\n"
	  "\"Shutdown\" to 8900h, 2000h to B004h, a value to 501h" },
	{ "rng", NULL, set_flag, IN(config.rng), false,
	  "add a virtio source of random numbers, which depend on --seed only" },
	{ "serial", "WHERE", set_serial, 0, false,
	  "connect COM1, given again COM2 to COM4: stdio, null, file:PATH, pty or\n"
	  "unix:PATH (a socket) [stdio, then null]" },
	{ "serial-speed", "SPEED", set_serial_speed, IN(config.serial_instant), false,
	  "set the pace of transmitters: line (a character takes its time), or instant\n(always empty) [line]" },
	{ "parallel", "WHERE", set_place, WHERE(VCPU_LPT1), false,
	  "connect the printer: stdio, null or file:PATH [null]" },
	{ "debugcon", "WHERE", set_place, WHERE(VCPU_DEBUGCON), false,
	  "connect port E9h: stdio, null or file:PATH [null]" },
	{ "firmware-log", "WHERE", set_place, WHERE(VCPU_FIRMWARE), false,
	  "connect port 402h, the firmware's log: stdio, null or file:PATH [null]" },
	{ "display", "KIND", set_display, IN(config.display), false,
	  "add a display adapter: vga; text (vga, with its text screen in this terminal);\n"
	  "none [vga with firmware, else none]" },
	{ "screenshot", "FILE", set_text, IN(screenshot), false, "write the last picture to FILE, as PNG" },
	{ "sound", "WHERE", set_sound, WHERE(VCPU_SOUND), false,
	  "add a Sound Blaster 16 and the speaker, and write their samples (44100 Hz,\n"
	  "16-bit signed stereo): file:PATH, null, or \"window\" of vcpu-sdl [no sound]" },
	{ "realtime", NULL, set_flag, IN(realtime), false, "hold virtual time back to the host's" },
	{ "fullscreen", NULL, set_flag, IN(full_screen), false, "vcpu-sdl: use the whole screen" },
	{ "scale", "N", set_scale, IN(scale), false, "vcpu-sdl: enlarge the window N times, 1 to 16 [1]" },
	{ "expect", "REGEXP", add_to_script, 0, false,
	  "wait until COM1 or the text screen matches this extended regular expression;\n"
	  "the run ends when the last one has matched" },
	{ "type", "TEXT", add_to_script, 0, false,
	  "type TEXT (\\n"
	  ", \\t, \\e, \\xHH) on the keyboard, or into COM1 without a display;\n"
	  "--expect and --type may repeat, and take place in order" },
	{ "next-medium", NULL, add_to_script, 0, false, "in order with --expect and --type: insert the next --medium" },
	{ "limit", "N", set_limit, IN(limit), false,
	  "stop after N instructions, or when the guest sleeps and the time of N\ninstructions has passed [no limit]" },
	{ "limit-time", "T", set_time, IN(limit_time), false,
	  "stop at virtual time T, a number of ns, us, ms, s or m (30s) [no limit]" },
	{ "stats", NULL, set_flag, IN(stats), false, "write a JSON object as the last line on stderr" },
	{ "engine", "NAME", set_engine, IN(config.engine), false,
	  "choose the engine: interpreter, or stitched (hot code becomes machine code);\n"
	  "results are the same [stitched, if it is available]" },
	{ "no-skip-waiting", NULL, set_flag, IN(config.no_skip_waiting), false,
	  "execute every round of a loop that waits for an event; results are the same\n[count the rounds]" },
	{ "seed", "N", set_number, IN(config.seed), false,
	  "jitter the timers deterministically; each N is another schedule [0: no jitter]" },
	{ "rtc", "SECONDS", set_rtc, IN(config.rtc), false,
	  "set the clock at power-on: seconds since 1970, or \"now\" [2000-01-01 00:00:00]" },
	{ "gdb", "WHERE", set_text, IN(gdb), false,
	  "wait for gdb at unix:PATH, [HOST]:PORT or stdio; \"monitor help\" lists further\ncommands" },
	{ "gdb-files", NULL, set_flag, IN(gdb_files), false,
	  "let gdb's monitor commands open files: trace, symbols, list ..." },
	{ "control", "WHERE", add_control, 0, false,
	  "let vcpuctl control the run at unix:PATH[,class=g|a][,user=NAME]...; may repeat" },
	{ "log", "KINDS[=FILE]", set_log, 0, false,
	  "log events: int (exceptions, interrupts), reset, guest-errors, port, mmio, msr,\n"
	  "separated by commas [to stderr]" },
	{ "magic-break", NULL, set_flag, IN(magic), false,
	  "stop before XCHG BX,BX, as Bochs does: in gdb or vcpu-dbg; otherwise end the\n"
	  "run and print the registers" },
	{ "record", "FILE", set_text, IN(record), false, "record the run in FILE, for vcpu replay and vcpu-dbg" },
	{ "embed", NULL, set_flag, IN(embed), false, "put the kernel and the initrd into the recording" },
	{ "no-sandbox", NULL, set_flag, IN(no_sandbox), false,
	  "keep the user's rights; by default the program gives them up when it has opened\n"
	  "the files of its options" },
	{ "verbose", NULL, set_flag, IN(verbose), false, "log guest errors and unimplemented features on stderr" },
	{ "help", NULL, show_help, 0, false, "print this text" },
	{ "version", NULL, show_version, 0, false, "print the version" },
};
enum { ROWS = sizeof rows / sizeof *rows, HELP_COLUMN = 24 };

static const char help_end[] =
	"\n"
	"With --serial=stdio on a terminal, Ctrl-A X ends the run and Ctrl-A H lists the keys.\n"
	"\n"
	"Exit status: 0 the guest switched the machine off; odd: (value << 1) | 1, written to the debug-exit\n"
	"port F4h; 2 bad usage or input; 4 triple fault; 6 --limit or --limit-time; 8 the host failed;\n"
	"10 Ctrl-A X or vcpuctl quit; 12 halted, and nothing can wake the guest; 16 an --expect did not match;\n"
	"20 --magic-break.\n";

static void print_row(const struct row *r)
{
	int column = printf("      --%s%s%s", r->name, r->value ? "=" : "", r->value ? r->value : "");

	if (column >= HELP_COLUMN) {
		putchar('\n');
		column = 0;
	}
	for (const char *line = r->help; *line; column = 0) {
		size_t len = strcspn(line, "\n");

		printf("%*s%.*s\n", HELP_COLUMN - column, "", (int)len, line);
		line += len + (line[len] == '\n');
	}
}

static bool show_help(struct parsing *p, const char *name, const char *text, void *at)
{
	(void)name, (void)text, (void)at;
	printf("Usage: %s%s [OPTION]...\n%s\n", p->window ? "" : "vcpu ", p->command,
	       p->demo ? "Boot the guest that is built into this program.\n" : "Boot a kernel or an image.\n");
	for (const struct row *r = rows; r < rows + ROWS; r++)
		if (!p->demo || !r->starts)
			print_row(r);
	fputs(help_end, stdout);
	*p->status = STATUS_OK;
	return false;
}

static bool show_version(struct parsing *p, const char *name, const char *text, void *at)
{
	(void)name, (void)text, (void)at;
	printf("vcpu (libvcpu) %s\n", vcpu_version());
	*p->status = STATUS_OK;
	return false;
}

/* Are there options that exclude or need each other? */
static bool options_agree(const struct parsing *p)
{
	const struct run_options *o = p->o;

	if ((o->full_screen || o->scale) && !p->window) {
		complain("--fullscreen and --scale are options of vcpu-sdl");
		return false;
	}
	if (o->embed && !o->record) {
		complain("--embed needs --record FILE");
		return false;
	}
	if (o->gdb && o->record) {
		complain("--gdb and --record exclude each other: a recording cannot go back in time");
		return false;
	}
	if (o->gdb && o->ncontrols) {
		complain("--gdb and --control exclude each other: gdb starts and stops the guest");
		return false;
	}
	if (gdb_takes_stdio(o->gdb) && o->text) {
		complain("--gdb stdio and --display text exclude each other: both need standard output");
		return false;
	}
	if (o->gdb && o->log) {
		complain("--log and --gdb exclude each other: gdb's monitor has the commands trace and catch");
		return false;
	}
	if (!p->demo && !o->config.kernel && !o->config.bios && !o->config.drives_count) {
		complain("run needs something to start: --kernel, --bios, --disk, --cdrom or --floppy (vcpu demo needs no file)");
		return false;
	}
	return true;
}

/* What getopt says of WORD by C: it lacks its argument, has one too many, is short for several, or is no option. */
static bool refuse(const struct parsing *p, int c, const char *word)
{
	char letter[] = { '-', (char)optopt, 0 };
	size_t len = strcspn(word, "=");
	unsigned several = 0;

	for (int i = 0; i < ROWS && len > 2; i++)
		several += !strncmp(rows[i].name, word + 2, len - 2);
	if (c == ':')
		complain("%s: an argument is missing", word);
	else if (optopt > UCHAR_MAX)
		complain("%s: this option has no argument", word);
	else if (!optopt && several > 1)
		complain("%s is short for several options (%s%s --help lists them)", word, p->window ? "" : "vcpu ",
			 p->command);
	else
		complain("there is no option '%s' (%s%s --help lists the options)", optopt ? letter : word,
			 p->window ? "" : "vcpu ", p->command);
	return false;
}

bool options_parse(struct run_options *o, int argc, char **argv, bool demo, int *status)
{
	enum { FIRST = 256 };
	struct parsing p = { o, argv[0], demo, !strcmp(argv[0], "vcpu-sdl"), status };
	struct option options[ROWS + 1] = { 0 };
	int c;

	*o = (struct run_options){ 0 };
	*status = STATUS_USAGE;
	for (int i = 0; i < ROWS; i++)
		options[i] = (struct option){ rows[i].name, rows[i].value ? required_argument : no_argument, NULL,
					      FIRST + i };
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		const struct row *r = c < FIRST ? NULL : &rows[c - FIRST];

		if (!r)
			return refuse(&p, c, argv[optind - 1]);
		if (!r->set(&p, r->name, optarg, (char *)o + r->at))
			return false;
	}
	if (optind < argc) {
		complain("%s: unexpected argument '%s' (%s%s --help lists the options)", p.command, argv[optind],
			 p.window ? "" : "vcpu ", p.command);
		return false;
	}
	if (!options_agree(&p))
		return false;
	if (!o->where[VCPU_COM1])
		o->where[VCPU_COM1] = o->text || p.window ? "null" : "stdio";
	options_stdio(o);
	/* every board has one, and firmware may not look whether it is there */
	o->config.ide |= o->config.bios != NULL;
	o->config.drives = o->drives;
	o->config.loads = o->loads;
	if (o->paravirt) {
		const char *model = o->config.cpu ? o->config.cpu : "max";

		if ((size_t)snprintf(o->model, sizeof o->model, "%s,+kvm", model) >= sizeof o->model) {
			complain("--cpu %s is too long for --paravirt", model);
			return false;
		}
		o->config.cpu = o->model;
	}
	if (o->net && !o->config.nic)
		o->config.nic = "virtio";
	return true;
}
