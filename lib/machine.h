/* SPDX-License-Identifier: MIT */
/* The inside of a struct vcpu, for the files of lib/.
 *
 *   machine.c   life and run of a machine       load*.c     memory at the start
 *   pc.c        the wiring of the PC            mode.c      the processor's state at the start
 *   access.c    memory from outside             map.c       memory of a bare machine, rights
 *   inject.c    faults from outside             snapshot.c  the whole state: save, load, hash
 *   register*.c registers from outside         fault.c     exceptions in words
 *   config.c    a configuration as text         replay.c    runs on file
 *   past.c      snapshots in memory             template.c  states that machines share
 *   clone.c     machines that are like another
 *   drives.c    the images in the drives            screen.c    the picture, keys for a text */
#ifndef LIB_MACHINE_H
#define LIB_MACHINE_H

#include "cpu/cpu.h"
#include "lib/load.h"
#include "lib/vcpu.h"
#include "mem/base/clock.h"
#include "mem/base/field.h"
#include "mem/base/log.h"
#include "mem/space.h"

#define MEMORY_DEFAULT (128 * MiB)
#define MEMORY_MAX ((u64)1 << 40)
#define RAM_LOW_MAX 0xc0000000u /* RAM beyond 3 GiB goes above 4 GiB */
#define OWN_DEVICES_MAX 256
/* more than a guest can map of devices in a space: no memory is needed for that while it runs */
#define RANGES_SPARE 512
#define PARTS_MAX (768 + OWN_DEVICES_MAX) /* 64 processors and a PC, and those */

struct pc;
struct reach; /* io/disk/reach.h */
struct vcpu_template; /* template.c */
struct recorder; /* replay.c */
struct map;      /* past.c */
struct family;   /* clone.c */
struct vcpu_debug;
struct user_device; /* access.c */

/* RAM that is in the map. A PC has one of them; a bare machine one for each vcpu_map. */
struct ram_block {
	u64 base;        /* where a bare machine shows it; 0 for the PC's, which is shown in several places */
	struct ram *ram;
	u64 *hashes;     /* of its pages, but those that are PAGE_UNHASHED; 0: it is zero. NULL: none yet */
	bool lent;       /* somebody else frees it: a disk, whose state it is */
};

/* A drive and its medium. */
struct drive {
	struct disk *disk; /* NULL: empty */
	enum vcpu_bus bus;
	bool cdrom;
	char path[40];     /* the firmware's name for it, below its PCI bus */
	bool full, lost;   /* reasons for vcpu_run to stop: the host has no room; a flush has failed */
};

struct vcpu {
	/* The configuration: never changes. */
	struct model model;
	u64 memory;      /* bytes of RAM of a PC */
	u64 ns_q16, seed, rtc;
	unsigned processors;
	bool bare;
	bool display;    /* a display adapter: if the configuration says so, or it is silent and there is firmware */
	void (*output)(void *user, enum vcpu_channel channel, const void *data, size_t len);
	void *user;
	const struct reach *reach;  /* while it is being built: the files that an untrusted configuration may open;
	                               NULL: it is the user's own */
	struct boot boot;
	char *config;               /* as text (config.h) */

	/* The parts. */
	struct cpu *cpu;            /* the one that boots; cpu->all are all of them */
	unsigned selected;          /* whose registers vcpu_get and vcpu_set see */
	struct clock clock;
	struct space mem, io;
	struct log log;
	struct ram_block *blocks;
	struct ram *unmapped;       /* in a callback: it is freed when the instruction is over */
	unsigned nblocks;
	struct ram *identity;       /* bare, 64-bit: page tables that the guest does not see (mode.c); NULL: none */
	u64 identity_base;
	bool identity_filled;       /* and nobody has written there since */
	struct pc *pc;              /* NULL: bare */
	struct user_device *devices;
	unsigned ndevices, nstates; /* those that have one */
	struct drive drives[VCPU_DRIVES];
	unsigned ndrives;

	/* Requests of the guest, on which vcpu_run acts. */
	bool off;                   /* state: the guest switched itself off */
	bool reset_wanted, exit_wanted;
	u32 exit_code;
	bool disk_news;             /* of one of the drives */

	struct family *family;      /* machines with which it shares memory (clone.c); NULL: none */
	struct vcpu *next_kept;     /* of those that the family keeps */
	struct own { struct own_page { unsigned block; u64 page; } *page; unsigned count, room; } own; /* for clone.c */
	bool cloned;                /* made by vcpu_clone */
	bool flags_old;             /* flags of pages were taken away: PAGE_CHANGED does not tell all */
	bool confined;              /* it was built for an untrusted configuration */
	struct map *past;           /* what memory was at the last snapshot (past.c); NULL: there was none */
	u64 past_bytes;
	struct vcpu_snapshot *snapshots;
	/* gets the pages that are found written at a snapshot (debug.c); NULL: nobody asks */
	struct bloom *past_written;
	struct vcpu_debug *debug;   /* NULL: none */
	struct recorder *recorder;  /* NULL: not recorded */
	atomic_uint asked;          /* 1: vcpu_stop was called */
	/* calls of this machine that are under way and may call back; in a callback it is not 0 */
	unsigned busy;
	char error[512];
};

/* Copy a structure of the caller's, whose first member is its size [0: SIZE], to OUT, of SIZE bytes: what is missing
 * becomes zero, and so does the size there. LEAST: the bytes of its first version. */
enum { SIZED_MAX = 1 << 16 };
enum sized { SIZED_OK, SIZED_WRONG, SIZED_UNKNOWN /* it has members that OUT has not */ };
enum sized sized_copy(void *out, size_t size, size_t least, const void *in);
/* The same; false with vcpu_error. WHAT: its name. */
bool machine_takes(struct vcpu *v, const char *what, void *out, size_t size, size_t least, const void *in);
/* vcpu_new for an untrusted configuration: REACH has the files that it may open; NULL: it is the user's own. T (or
 * NULL) has the boot images. */
struct vcpu *machine_new(const struct vcpu_config *config, const struct reach *reach, const struct vcpu_template *t,
			 char **error);
/* An error text for the caller, malloc'd, into *ERROR (which may be NULL). error_set is false. */
__attribute__((format(printf, 2, 3)))
void error_write(char **error, const char *format, ...);
#define error_set(...) (error_write(__VA_ARGS__), false)
/* The same into the machine, for vcpu_error. Returns -1. */
__attribute__((format(printf, 2, 3)))
int machine_error(struct vcpu *v, const char *format, ...);

/* In a callback, or for NULL: refuse WHAT, with the reason for vcpu_error. */
bool machine_refuses(const struct vcpu *v, const char *what);
/* In a hook that is an observer: refuse WHAT, which would change the machine. */
bool machine_observed(struct vcpu *v, const char *what);
static inline struct cpu *machine_running(const struct vcpu *v) { return cpus_running(v->cpu->all); }
static inline struct cpu *machine_selected(const struct vcpu *v) { return v->cpu->all->cpu[v->selected]; }
/* Leave cpu_run at the end of the instruction that is touching a device. */
void machine_attention(struct vcpu *v);
/* A callback of the caller's has returned: if it has called vcpu_stop, the run ends behind this instruction. */
static inline void machine_called(struct vcpu *v)
{
	if (unlikely(v->asked))
		machine_attention(v);
}
/* A place in a run: before the instruction after ICOUNT, and after STEPS handlers were entered there (clock.h). Whoever
 * stops at a place, at a virtual time, finds the same state, however the run was cut. */
struct place { u64 icount; u32 steps; };
static inline bool place_reached(struct place at, struct place end)
{
	return at.icount > end.icount || (at.icount == end.icount && at.steps >= end.steps);
}
/* A stop that only debug.c sees: the observer has a hit. */
#define STOP_OBSERVED ((enum vcpu_stop_reason)(VCPU_STOP_MISSING + 2))
/* Before an input or a change: a debugger makes room for LEN bytes of it. False with the machine's error text: no
 * memory. */
bool debug_room(struct vcpu *v, size_t len);
void debug_input(struct vcpu_debug *d, enum vcpu_channel channel, const void *data, size_t len);
/* A changer of the caller's, hook ID, is about to be called for an event of KIND. Has its call here been made before,
 * so that its changes are repeated? */
bool debug_repeats_hook(const struct vcpu_debug *d, unsigned kind, int id);
/* It has been called. */
void debug_hook_called(struct vcpu_debug *d, unsigned kind, int id);

/* ---- change.c ---- */

/* The caller has changed the machine between two instructions, or in a hook before one: HOW, with LEN BYTES behind it.
 * Other callbacks change what their devices repeat. Recordings have the numbers: channels of inputs. */
enum change { CHANGE_REGISTER = 0x10000, CHANGE_WIDE, CHANGE_MEMORY, CHANGE_MSR, CHANGE_SEGMENT, CHANGE_MODE,
	      CHANGE_SKIP };
struct changed { enum change what; unsigned processor; u64 number, value; };
void machine_changed(struct vcpu *v, struct changed how, const void *bytes, size_t len);
/* Before a change: debug_room for it. */
bool change_room(struct vcpu *v, size_t len);
struct place machine_place(const struct vcpu *v);
/* vcpu_run up to END; asleep, up to the virtual time IDLE_END. */
struct vcpu_stop machine_run(struct vcpu *v, struct place end, u64 idle_end);
/* The next write to each page goes through its flags. */
void machine_drop_writes(struct vcpu *v);
/* vcpu_input and vcpu_state_parts, from inside. */
int machine_input(struct vcpu *v, enum vcpu_channel channel, const void *data, size_t len);
void machine_state_parts(struct vcpu *v, void (*each)(void *user, const char *part, u64 hash), void *user);
/* Every part with state, in a fixed order: at most PARTS_MAX. Returns how many. */
unsigned machine_parts(struct vcpu *v, struct part out[PARTS_MAX]);
/* After the parts were loaded: derive everything else again. */
void machine_loaded(struct vcpu *v);
/* Power-on or reset: the devices and the processor as new, the boot image loaded and about to be entered. */
bool machine_reset(struct vcpu *v, char **error);
/* vcpu_free of a machine that nobody keeps. */
void machine_free(struct vcpu *v);
/* OUTPUT (NULL: none) gets what V gives, with USER. */
void machine_listen(struct vcpu *v, void (*output)(void *user, enum vcpu_channel channel, const void *data, size_t len),
		    void *user);
/* Put RAM into the table of blocks; if it is not LENT, the machine owns it from then on, also on failure. */
bool machine_add_block(struct vcpu *v, u64 base, struct ram *ram, bool lent);
/* Free what was unmapped in callbacks (map.c). */
void machine_free_unmapped(struct vcpu *v);
/* Of bare machines: does A have the map and the rights of B? V, which has no memory, gets the map and the rights of OF;
 * false: no memory. */
bool map_same(const struct vcpu *a, const struct vcpu *b);
bool map_of(struct vcpu *v, const struct vcpu *of);

/* ---- past.c ---- */

/* A page becomes BYTES (NULL: zeroes), and code that was decoded from others there is forgotten; for writers of it,
 * machine_drop_writes. */
void page_put(struct vcpu *v, struct ram *ram, u64 number, const u8 *bytes);

/* ---- snapshot.c ---- */
/* vcpu_save and vcpu_load: without the MEMORY, or with that of the template T. */
bool state_save(const struct vcpu *v, bool memory, void **data, size_t *len, char **error);
bool state_load(struct vcpu *v, const void *data, size_t len, const struct vcpu_template *t, char **error);
bool page_is_kept(const struct ram *ram, u64 page); /* it holds something else than zeroes */
#define STATE_HEAD 32u
/* The stream behind the head is complete, and FILE has LEN bytes: write length and checksum into the head. */
static inline void state_seal(u8 *file, size_t len)
{
	put64(file + 16, len - STATE_HEAD);
	put64(file + 24, hash64(0, file + STATE_HEAD, len - STATE_HEAD));
}

/* ---- template.c ---- */

/* All memory of V becomes that of T. False: the host cannot give it; V is good for vcpu_free only. */
bool template_share(const struct vcpu_template *t, struct vcpu *v);
/* The same where V's memory is that of T already, or zeroes where T has some. */
bool template_map(const struct vcpu_template *t, struct vcpu *v);
/* One of V's memory and boot images alone, with few mappings. NULL: the host has no memory. */
struct vcpu_template *template_memory(struct vcpu *v);
/* The file of T, to read, for pages_free; and in it a page of block number BLOCK. NULL: no memory, or the file is
 * empty; the page is zeroes. */
void *template_view(const struct vcpu_template *t, u64 *size);
const u8 *template_page(const struct vcpu_template *t, const u8 *view, unsigned block, u64 page);
/* The boot images of T. False with *ERROR. */
bool template_boot(const struct vcpu_template *t, struct boot *boot, char **error);

/* ---- pc.c ---- */

struct memory_region { u64 base, size; bool usable; };
#define MEMORY_REGIONS 8

/* Build all devices around V's processor and spaces. False: *ERROR says what CONFIG asks for that cannot be; if
 * nothing, there is no memory. */
bool pc_new(struct vcpu *v, const struct vcpu_config *config, char **error);
void pc_free(struct pc *pc);
/* The devices as at power-on, at the present time; without firmware, as firmware leaves them, and its tables written
 * again. False: no memory. */
bool pc_reset(struct vcpu *v);
unsigned pc_parts(struct pc *pc, struct part out[], unsigned max);
void pc_loaded(struct pc *pc);
int pc_input(struct vcpu *v, enum vcpu_channel channel, const void *data, size_t len);
/* The memory map for the guest: the regions in order of address. Returns their number. */
unsigned pc_memory_map(const struct vcpu *v, struct memory_region out[MEMORY_REGIONS]);
/* Bytes of RAM below 4 GiB. */
u64 pc_low_ram(const struct vcpu *v);
/* Physical address of the ACPI RSDP. */
u64 pc_rsdp(const struct vcpu *v);
/* Set the display adapter to WIDTH x HEIGHT dots of 32 bits, as a video BIOS would. Its memory's address, or 0: there
 * is no adapter, or not this mode. */
u64 pc_framebuffer(struct vcpu *v, u32 width, u32 height);

/* ---- drives.c ---- */

/* Open the images of CONFIG's drives. */
bool drives_open(struct vcpu *v, const struct vcpu_config *config, char **error);
void drives_close(struct vcpu *v);
/* Why vcpu_run must stop, with the machine's error text; once for each reason. False: there is nothing. */
bool drives_news(struct vcpu *v, enum vcpu_stop_reason *reason);
/* The memory of `snapshot' disks becomes the machine's. False: no memory. */
bool drives_add_blocks(struct vcpu *v);
/* The hash of the drives that a saved state must find again. */
u64 drives_hash(const struct vcpu *v);
unsigned drives_parts(struct vcpu *v, struct part *out);
/* Their present contents: hashes as disk_contents makes them, 0 for an empty drive. False with the machine's error
 * text. */
bool drives_contents(struct vcpu *v, u64 out[VCPU_DRIVES]);

/* ---- mode.c ---- */

enum cpu_setup {
	SETUP_REAL,       /* CS = DS = ES = SS = 0 */
	SETUP_PROTECTED,  /* flat 32-bit segments, no paging */
	SETUP_LONG,       /* 64-bit code with the page tables at CR3 */
};
/* The processor as a boot loader leaves it: interrupts off, flat segments with selectors CODE and DATA (SETUP_REAL:
 * ignored), GDTR empty. */
void mode_setup(struct vcpu *v, enum cpu_setup how, u16 code, u16 data, u64 cr3);
/* Write the hidden identity page tables of a bare machine, if it has them. */
void mode_fill_identity(struct vcpu *v);
/* Make room for them. False: no memory. */
bool mode_add_identity(struct vcpu *v);

/* ---- access.c: devices of the caller's own ---- */

void devices_free(struct vcpu *v);
/* Their parts, each with its state as it is now; they come last. */
unsigned devices_parts(struct vcpu *v, struct part *out);
/* Extend H over what they are: the same for machines that can take each other's states. */
u64 devices_hash(const struct vcpu *v, u64 h);
/* False with the machine's error text: one of them cannot be asked for its state. */
bool devices_known(const struct vcpu *v);
/* Their parts have been loaded: give them their states. False with the machine's error text, and their states as they
 * were. */
bool devices_restore(struct vcpu *v);

/* ---- hook.c ---- */

/* False with the machine's error text: it has a hook that may change it in the middle of an instruction, so that the
 * run could not be repeated. */
bool hooks_repeatable(struct vcpu *v);

/* ---- register*.c ---- */

/* Numbers beyond enum vcpu_register:
 *   0x100 + n .. 0x400 + n   parts of general registers, RIP and RFLAGS: bits 31-0, 15-0, 7-0, 15-8
 *   0x1000 + n and up        vectors, masks, MMn, ST(n) */
enum { PART = 0x100, PART_32 = 1, PART_16, PART_LOW, PART_HIGH, XMM = 0x1000, ST = 0x1100, YMM = 0x1200, ZMM = 0x1300,
       MASK = 0x1400, MM = 0x1500 };
struct register_row { const char *name; u16 number; u8 bytes; };
const struct register_row *register_row(int reg); /* NULL: there is none of that number */
/* Of registers from XMM on: bits 63-0. Setting them leaves the others. */
u64 register_low(const struct cpu *c, int reg);
int register_set_low(struct vcpu *v, int reg, u64 value);
/* Of enum vcpu_register from VCPU_FTW on. False: it cannot hold VALUE. */
u64 register_more(const struct cpu *c, int reg);
bool register_set_more(struct cpu *c, int reg, u64 value);

/* ---- fault.c ---- */
void fault_text(const struct fault_note *note, char *text, size_t size);

#endif
