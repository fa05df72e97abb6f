/* The options of the commands that run a machine. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

enum { O_KERNEL = 256, O_INITRD, O_APPEND, O_BIOS, O_VARS, O_DISK, O_CDROM, O_FLOPPY, O_MEDIUM, O_BOOT, O_MEMORY, O_CPU, O_SMP, O_SERIAL, O_DEBUGCON, O_FIRMWARE_LOG,
       O_LIMIT, O_LIMIT_TIME, O_STATS, O_SEED, O_RTC, O_VERBOSE, O_RECORD, O_EMBED, O_HELP, O_VERSION };
enum { O_DISPLAY = 400, O_SCREENSHOT, O_TYPE, O_EXPECT, O_NEXT_MEDIUM, O_REALTIME, O_FULLSCREEN, O_SCALE, O_PARALLEL, O_SOUND };
enum { O_NIC = 500, O_MAC, O_NET, O_PCAP, O_SHARE, O_CONSOLE, O_RNG, O_TEST_PORTS };
enum { O_GDB = 600, O_GDB_FILES, O_NO_SANDBOX };

static const struct option run_options[] = {
	{ "kernel", required_argument, NULL, O_KERNEL },
	{ "initrd", required_argument, NULL, O_INITRD },
	{ "append", required_argument, NULL, O_APPEND },
	{ "disk", required_argument, NULL, O_DISK },
	{ "cdrom", required_argument, NULL, O_CDROM },
	{ "floppy", required_argument, NULL, O_FLOPPY },
	{ "medium", required_argument, NULL, O_MEDIUM },
	{ "boot", required_argument, NULL, O_BOOT },
	{ "nic", required_argument, NULL, O_NIC },
	{ "mac", required_argument, NULL, O_MAC },
	{ "net", required_argument, NULL, O_NET },
	{ "pcap", required_argument, NULL, O_PCAP },
	{ "share", required_argument, NULL, O_SHARE },
	{ "console", required_argument, NULL, O_CONSOLE },
	{ "rng", no_argument, NULL, O_RNG },
	{ "test-ports", no_argument, NULL, O_TEST_PORTS },
	{ "memory", required_argument, NULL, O_MEMORY },
	{ "cpu", required_argument, NULL, O_CPU },
	{ "smp", required_argument, NULL, O_SMP },
	{ "bios", required_argument, NULL, O_BIOS },
	{ "vars", required_argument, NULL, O_VARS },
	{ "serial", required_argument, NULL, O_SERIAL },
	{ "debugcon", required_argument, NULL, O_DEBUGCON },
	{ "display", required_argument, NULL, O_DISPLAY },
	{ "screenshot", required_argument, NULL, O_SCREENSHOT },
	{ "firmware-log", required_argument, NULL, O_FIRMWARE_LOG },
	{ "sound", required_argument, NULL, O_SOUND },
	{ "parallel", required_argument, NULL, O_PARALLEL },
	{ "realtime", no_argument, NULL, O_REALTIME },
	{ "fullscreen", no_argument, NULL, O_FULLSCREEN },
	{ "scale", required_argument, NULL, O_SCALE },
	{ "type", required_argument, NULL, O_TYPE },
	{ "expect", required_argument, NULL, O_EXPECT },
	{ "next-medium", no_argument, NULL, O_NEXT_MEDIUM },
	{ "limit", required_argument, NULL, O_LIMIT },
	{ "limit-time", required_argument, NULL, O_LIMIT_TIME },
	{ "stats", no_argument, NULL, O_STATS },
	{ "seed", required_argument, NULL, O_SEED },
	{ "rtc", required_argument, NULL, O_RTC },
	{ "verbose", no_argument, NULL, O_VERBOSE },
	{ "gdb", required_argument, NULL, O_GDB },
	{ "gdb-files", no_argument, NULL, O_GDB_FILES },
	{ "record", required_argument, NULL, O_RECORD },
	{ "embed", no_argument, NULL, O_EMBED },
	{ "no-sandbox", no_argument, NULL, O_NO_SANDBOX },
	{ "help", no_argument, NULL, O_HELP },
	{ "version", no_argument, NULL, O_VERSION },
	{ 0 },
};

static const char help_boot[] =
	"      --kernel=FILE     a Linux bzImage, a multiboot image, an ELF with a PVH note, or a\n"
	"                        flat image, told apart by what is in it\n"
	"      --initrd=FILE     initial RAM disk; multiboot modules as \"FILE ARGS,FILE ARGS\"\n"
	"      --append=TEXT     the kernel's command line\n"
	"      --bios=FILE       firmware to start first; of --kernel, OVMF takes a Linux one\n"
	"      --vars=FILE       where it keeps its variables; \",snapshot\" leaves the file as it is\n"
	"      --disk=SPEC       a disk: [ide:|ahci:|virtio:]FILE[,OPTION]...; options are readonly,\n"
	"                        snapshot, overlay=FILE, offset=BYTES, size=BYTES; FILE may be nbd:URI\n"
	"      --cdrom=SPEC      a CD-ROM drive, [ide:|ahci:]FILE; \"\" is one without a disc\n"
	"      --floppy=SPEC     a floppy drive, FILE[,OPTION]...; \"\" is one without a disk\n"
	"      --medium=SPEC     one more disk or disc for the drive before it; Ctrl-A N puts in the next\n"
	"      --boot=LETTERS    what firmware starts from: a floppy, c disk, d CD-ROM, n network [cda]\n";
static const char help_rest[] =
	"      --memory=SIZE     RAM, with a suffix K, M, G or T [128M]\n"
	"      --cpu=MODEL       MODEL[,+FEATURE|,-FEATURE]... [max]; \"help\" lists the models\n"
	"      --smp=N           N processors, which run in turns: at most 64 [1]\n"
	"      --nic=KIND        a network adapter: virtio, e1000, ne2000 or none [virtio with --net, else none]\n"
	"      --mac=ADDRESS     its address [52:54:00:12:34:56]\n"
	"      --net=NETWORK     what it is connected to: none, or user[,OPTION]..., a network of the guest's own with\n"
	"                        DHCP, DNS and a gateway to the host's; options are restrict (nothing goes out) and\n"
	"                        hostfwd=tcp|udp:[ADDRESS]:PORT-[ADDRESS]:PORT [none]\n"
	"      --pcap=FILE       write its frames to FILE, for tcpdump and Wireshark, at virtual times\n"
	"      --share=DIRECTORY DIRECTORY[,rw][,tag=NAME], for the guest to mount by virtio 9P [tag=share]\n"
	"      --console=WHERE   a virtio console: stdio, null or file:PATH; with stdio, keys go there [no console]\n"
	"      --test-ports      the test device that kvm-unit-tests expects (QEMU's pc-testdev)\n"
	"      --rng             a virtio source of random numbers: from the seed, so the same in every run\n"
	"      --serial=WHERE    COM1: stdio, null, file:PATH, pty or unix:PATH (a socket) [stdio];\n"
	"                        the second one is COM2, up to COM4\n"
	"      --parallel=WHERE  the printer: stdio, null or file:PATH [null]\n"
	"      --debugcon=WHERE  port E9h: stdio, null or file:PATH [null]\n"
	"      --firmware-log=WHERE  port 402h, what firmware says: the same [null]\n"
	"      --display=KIND    vga: a display adapter; text: the same, its text screen in this\n"
	"                        terminal; none [vga with firmware, else none]\n"
	"      --screenshot=FILE the picture at the end, as PNG\n"
	"      --sound=WHERE     a sound card and the speaker; what they play goes to file:PATH (44100 Hz,\n"
	"                        16-bit signed stereo), null, or \"window\" of vcpu-sdl [no sound]\n"
	"      --realtime        virtual time does not run faster than the host's\n"
	"      --fullscreen, --scale=N  vcpu-sdl: the whole screen; a window N times as large\n"
	"      --expect=REGEXP   wait until COM1 or the text screen has that (extended regular\n"
	"                        expression); the run ends when the last one is met\n"
	"      --type=TEXT       then type this (\\n, \\t, \\e, \\xHH) on the keyboard, without a display\n"
	"                        into COM1; both as often as needed, in order\n"
	"      --next-medium     in order with them: the next --medium into its drive\n"
	"      --limit=N         stop when N instructions have retired, or the guest sleeps and as many\n"
	"                        could have since power-on\n"
	"      --limit-time=T    stop at virtual time T, a number of ns, us, ms, s or m (30s)\n"
	"      --stats           one JSON object as the last line on stderr\n"
	"      --seed=N          deterministic jitter of timers; every N is a schedule of its own [0: none]\n"
	"      --rtc=SECONDS     the clock at power-on, since 1970, or \"now\" [2000-01-01 00:00:00]\n"
	"      --gdb=WHERE       wait for gdb at unix:PATH, [HOST]:PORT or stdio; it can go back in time, and\n"
	"                        its monitor command knows more (monitor help)\n"
	"      --gdb-files       gdb's monitor commands may open files: trace, symbols, list ...\n"
	"      --record=FILE     write what vcpu replay needs to repeat this run, to the bit\n"
	"      --embed           the kernel and the initrd go into that file, too\n"
	"      --no-sandbox      keep the rights to open, connect and start what the user may, which this\n"
	"                        program else gives up when it has opened what its options name\n"
	"      --verbose         what the guest did that deserves a word, on stderr\n"
	"      --help            this text\n"
	"      --version         the version\n"
	"\n"
	"With --serial=stdio on a terminal, Ctrl-A X quits and Ctrl-A H tells more.\n"
	"\n"
	"Exit status: 0 the guest switched itself off; odd: its own, (value << 1) | 1 through the\n"
	"debug-exit port F4h; 2 bad usage or input; 4 triple fault; 6 --limit or --limit-time reached; 8 the host\n"
	"failed; 10 Ctrl-A X; 12 halted for ever; 16 an --expect was not met.\n";

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
	complain("--%s %s: that is not a number", option, text);
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
	complain("--%s %s: that is not a time, like 500ms, 30s or 2m", option, text);
	return false;
}

void options_limit_time(const struct run_options *o, vcpu *machine, uint64_t ns_q16)
{
	unsigned __int128 asleep = (unsigned __int128)o->limit * (ns_q16 ? ns_q16 : 65536) >> 16;

	vcpu_limit_time(machine, o->limit_time ? o->limit_time : UINT64_MAX, o->limit && asleep < UINT64_MAX ? (uint64_t)asleep : UINT64_MAX);
}

/* The library gives out RAM only as it is touched, but more than the host has is a slip of the pen. */
static bool memory(const char *text, uint64_t *size)
{
	long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);

	if (!options_size(text, size)) {
		complain("--memory %s: that is not a size, like 256M or 4G", text);
		return false;
	}
	if (!*size) {
		complain("--memory %s: a machine needs some memory", text);
		return false;
	}
	if (pages > 0 && page > 0 && *size / (uint64_t)page >= (uint64_t)pages) {
		complain("--memory %s: this host has only %llu MiB", text,
			 (unsigned long long)((uint64_t)pages * (uint64_t)page >> 20));
		return false;
	}
	return true;
}

bool options_place(const char *option, const char *text)
{
	if (!strcmp(text, "stdio") || !strcmp(text, "null") || (!strncmp(text, "file:", 5) && text[5]))
		return true;
	complain("--%s %s: that is neither stdio, null nor file:PATH", option, text);
	return false;
}

/* [BUS:]IMAGE for --OPTION into the next drive of O. */
static bool drive(struct run_options *o, const char *option, const char *image)
{
	static const char *const buses[] = { [VCPU_BUS_IDE] = "ide:", [VCPU_BUS_AHCI] = "ahci:", [VCPU_BUS_VIRTIO] = "virtio:" };
	struct vcpu_drive *d = &o->drives[o->config.drives_count];

	if (o->config.drives_count == VCPU_DRIVES) {
		complain("--%s %s: there are %u drives already", option, image, VCPU_DRIVES);
		return false;
	}
	*d = (struct vcpu_drive){ image, !strcmp(option, "floppy") ? VCPU_BUS_FLOPPY : !strcmp(option, "medium") ? VCPU_BUS_SHELF : VCPU_BUS_IDE,
		!strcmp(option, "cdrom") };
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

static bool mac(const char *text, uint8_t out[6])
{
	int end = 0;

	if (sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", out, out + 1, out + 2, out + 3, out + 4, out + 5, &end) == 6 && !text[end])
		return true;
	complain("--mac %s: that is not an address, like 52:54:00:12:34:56", text);
	return false;
}

/* The first --serial is COM1, the second one COM2, and so on. */
static bool serial(struct run_options *o, const char *where)
{
	static const enum vcpu_channel channels[] = { VCPU_COM1, VCPU_COM2, VCPU_COM3, VCPU_COM4 };

	for (unsigned i = 0; i < sizeof channels / sizeof *channels; i++) {
		if (o->where[channels[i]])
			continue;
		o->where[channels[i]] = where;
		if (!strcmp(where, "pty") || (!strncmp(where, "unix:", 5) && where[5]))
			return true;
		if (!strcmp(where, "stdio") || !strcmp(where, "null") || (!strncmp(where, "file:", 5) && where[5]))
			return true;
		complain("--serial %s: that is neither stdio, null, file:PATH, pty nor unix:PATH", where);
		return false;
	}
	complain("--serial %s: there are four serial ports", where);
	return false;
}

bool options_parse(struct run_options *o, int argc, char **argv, bool demo, int *status)
{
	char name[] = "vcpu"; /* what getopt's own messages begin with */
	const char *command = argv[0];
	bool window = !strcmp(command, "vcpu-sdl");
	uint64_t n;
	int c;

	argv[0] = name;
	*o = (struct run_options){ 0 };
	o->config.drives = o->drives;
	*status = STATUS_USAGE;
	while ((c = getopt_long(argc, argv, "", run_options, NULL)) != -1) {
		switch (c) {
		case O_KERNEL:
		case O_INITRD:
		case O_APPEND:
		case O_BIOS:
		case O_VARS:
			if (demo) {
				complain("demo brings its own guest: --kernel, --initrd, --append, --bios and --vars are for vcpu run");
				return false;
			}
			*(c == O_KERNEL ? &o->config.kernel : c == O_INITRD ? &o->config.initrd : c == O_APPEND ? &o->config.append :
			  c == O_BIOS ? &o->config.bios : &o->config.vars) = optarg;
			break;
		case O_DISK:
		case O_CDROM:
		case O_FLOPPY:
		case O_MEDIUM:
			if (!drive(o, c == O_DISK ? "disk" : c == O_CDROM ? "cdrom" : c == O_FLOPPY ? "floppy" : "medium", optarg))
				return false;
			break;
		case O_BOOT:
			if (!*optarg || strspn(optarg, "acdn") != strlen(optarg)) {
				complain("--boot %s: letters of a (floppy), c (disk), d (CD-ROM), n (network)", optarg);
				return false;
			}
			o->config.boot = optarg;
			break;
		case O_NIC:
			o->config.nic = optarg;
			break;
		case O_MAC:
			if (!mac(optarg, o->config.mac))
				return false;
			break;
		case O_NET:
			o->net = optarg;
			break;
		case O_PCAP:
			o->pcap = optarg;
			break;
		case O_SHARE:
			o->share = optarg;
			break;
		case O_CONSOLE:
			if (!options_place("console", o->where[VCPU_CONSOLE] = optarg))
				return false;
			o->config.console = true;
			break;
		case O_RNG:
			o->config.rng = true;
			break;
		case O_TEST_PORTS:
			o->config.test_ports = true;
			break;
		case O_MEMORY:
			if (!memory(optarg, &o->config.memory))
				return false;
			break;
		case O_CPU:
			if (!strcmp(optarg, "help")) {
				for (const char *const *m = vcpu_models(); *m; m++)
					puts(*m);
				*status = STATUS_OK;
				return false;
			}
			o->config.cpu = optarg;
			break;
		case O_SMP:
			if (!options_number("smp", optarg, &n))
				return false;
			if (!n || n > 64) {
				complain("--smp %s: a machine has 1 to 64 processors", optarg);
				return false;
			}
			o->config.processors = (unsigned)n;
			break;
		case O_SERIAL:
			if (!serial(o, optarg))
				return false;
			break;
		case O_DEBUGCON:
			if (!options_place("debugcon", o->where[VCPU_DEBUGCON] = optarg))
				return false;
			break;
		case O_FIRMWARE_LOG:
			if (!options_place("firmware-log", o->where[VCPU_FIRMWARE] = optarg))
				return false;
			break;
		case O_DISPLAY:
			o->text = !strcmp(optarg, "text");
			o->config.display = o->text ? "vga" : optarg;
			break;
		case O_SOUND:
			o->config.sound = true;
			if (window && !strcmp(optarg, "window"))
				break;
			if (!options_place("sound", o->where[VCPU_SOUND] = optarg))
				return false;
			break;
		case O_PARALLEL:
			if (!options_place("parallel", o->where[VCPU_LPT1] = optarg))
				return false;
			break;
		case O_REALTIME:
			o->realtime = true;
			break;
		case O_FULLSCREEN:
			o->full_screen = true;
			break;
		case O_SCALE:
			if (!options_number("scale", optarg, &n))
				return false;
			if (!n || n > 16) {
				complain("--scale %s: 1 to 16", optarg);
				return false;
			}
			o->scale = (unsigned)n;
			break;
		case O_TYPE:
		case O_EXPECT:
		case O_NEXT_MEDIUM:
			if (!script_add(c == O_EXPECT, c == O_NEXT_MEDIUM ? NULL : optarg))
				return false;
			break;
		case O_SCREENSHOT:
			o->screenshot = optarg;
			break;
		case O_LIMIT:
			if (!options_number("limit", optarg, &o->limit))
				return false;
			if (!o->limit) {
				complain("--limit 0: at least one instruction");
				return false;
			}
			break;
		case O_LIMIT_TIME:
			if (!options_time("limit-time", optarg, &o->limit_time))
				return false;
			break;
		case O_STATS:
			o->stats = true;
			break;
		case O_SEED:
			if (!options_number("seed", optarg, &o->config.seed))
				return false;
			break;
		case O_RTC:
			if (!strcmp(optarg, "now"))
				o->config.rtc = (uint64_t)time(NULL);
			else if (!options_number("rtc", optarg, &o->config.rtc))
				return false;
			break;
		case O_GDB:
			o->gdb = optarg;
			break;
		case O_GDB_FILES:
			o->gdb_files = true;
			break;
		case O_RECORD:
			o->record = optarg;
			break;
		case O_EMBED:
			o->embed = true;
			break;
		case O_NO_SANDBOX:
			o->no_sandbox = true;
			break;
		case O_VERBOSE:
			o->verbose = true;
			break;
		case O_HELP:
			printf("Usage: %s%s [OPTION]...\n%s\n", window ? "" : "vcpu ", command,
			       demo ? "Boot the guest that is built into this program.\n" : "Boot a kernel or an image.\n");
			if (!demo)
				fputs(help_boot, stdout);
			fputs(help_rest, stdout);
			*status = STATUS_OK;
			return false;
		case O_VERSION:
			printf("vcpu (libvcpu) %s\n", vcpu_version());
			*status = STATUS_OK;
			return false;
		default:
			return false;
		}
	}
	if (optind < argc) {
		complain("%s: what is '%s'? (vcpu %s --help tells more)", command, argv[optind], command);
		return false;
	}
	if (!o->where[VCPU_COM1])
		o->where[VCPU_COM1] = o->text || window ? "null" : "stdio";
	if ((o->full_screen || o->scale) && !window) {
		complain("--fullscreen and --scale are for vcpu-sdl, which has a window");
		return false;
	}
	if (o->embed && !o->record) {
		complain("--embed: into what? --record FILE says it");
		return false;
	}
	if (o->gdb && o->record) {
		complain("--gdb goes back in time, and --record does not: one of them");
		return false;
	}
	if (o->gdb && !strcmp(o->gdb, "stdio") && !strcmp(o->where[VCPU_COM1], "stdio"))
		o->where[VCPU_COM1] = "null";
	o->config.drives = o->drives;
	if (o->net && !o->config.nic)
		o->config.nic = "virtio";
	if (!demo && !o->config.kernel && !o->config.bios && !o->config.drives_count) {
		complain("run: --kernel or something to start from, like --disk, is needed (vcpu demo needs no file)");
		return false;
	}
	return true;
}
