/* libvcpu: an x86 PC as a library.
 *
 *     struct vcpu_config config = { .memory = 256 << 20, .kernel = "bzImage", .append = "console=ttyS0" };
 *     char *error = NULL;
 *     vcpu *v = vcpu_new(&config, &error);
 *     struct vcpu_stop stop;
 *
 *     do
 *             stop = vcpu_run(v, 1000000);
 *     while (stop.reason == VCPU_STOP_LIMIT || stop.reason == VCPU_STOP_IDLE);
 *     vcpu_free(v);
 *
 * A machine is a pure function of its configuration and of the inputs given to it with vcpu_input(), each of which is stamped with the
 * instruction count. The library reads no host clock, environment or randomness, prints nothing, never exits or aborts, starts no
 * thread and keeps no global: any number of machines can live in a process. One machine must be used by one thread at a time.
 *
 * Strings returned through a `char **error` are malloc'd and belong to the caller; ERROR may be NULL.
 *
 * NULL for a machine, a recording or a debugger is an error of every function that takes one: -1, false, NULL,
 * VCPU_STOP_HOST or VCPU_DEBUG_ERROR; functions that return a number give 0, those that return nothing do nothing.
 *
 * Callbacks: functions of struct vcpu_device and vcpu_config.output, and those that vcpu_debug_trace,
 * vcpu_debug_condition, vcpu_debug_coverage, vcpu_state_parts and vcpu_record are given. Most of them are called in
 * the middle of an instruction. There
 *   - VCPU_RIP is that instruction's address, vcpu_instructions what has retired before it, vcpu_virtual_ns the time
 *     at its beginning. The other registers are as it has left them so far. Where a processor fetches code from the
 *     device, VCPU_RIP is the address of that code; where it delivers an interruption onto a stack there, that of the
 *     instruction before which it comes. Of several processors it is vcpu_running whose instruction it is, and
 *     vcpu_select says whose registers are seen;
 *   - vcpu_stop ends the vcpu_run that it is called in, behind that instruction. A repeated string instruction counts
 *     as one for each part of at most 4096 elements;
 *   - vcpu_set works. With VCPU_RIP, the guest goes on there behind that instruction (if it faults after all, its
 *     handler is entered and the new RIP is forgotten). What the instruction writes itself it writes after that.
 *     Outside of an instruction (code is being fetched, an interruption delivered, a timer has fired), -1: only
 *     general registers, vectors, CR2, MXCSR, FCW and FSW can be set then;
 *   - registers and memory can be read and written, vcpu_map, vcpu_map_device, vcpu_map_ports and vcpu_select work,
 *     and so does everything that asks. What is changed in memory that holds code counts from the next instruction
 *     on;
 *   - what needs the machine to stand between two instructions is refused with an error, and the machine goes on:
 *     vcpu_run, vcpu_input (and vcpu_type_text, vcpu_next_medium), vcpu_flush, vcpu_save, vcpu_load, vcpu_state_hash
 *     (0), vcpu_state_parts (no part), vcpu_set_mode, vcpu_snapshot_take, vcpu_snapshot_restore, vcpu_record,
 *     vcpu_record_end, vcpu_replay_run, and all of vcpu_debug_* that runs the machine or changes what stops it. Call
 *     vcpu_stop, and do it when vcpu_run has returned;
 *   - vcpu_free and vcpu_debug_free do nothing, but leave a text for vcpu_error.
 * A machine may call into another one. */
#ifndef VCPU_H
#define VCPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined __GNUC__
#define VCPU_API __attribute__((visibility("default")))
#else
#define VCPU_API
#endif

typedef struct vcpu vcpu;

/* Where output comes from and where input goes. */
enum vcpu_channel {
	VCPU_COM1,      /* the 16550A at 3F8h: bytes */
	VCPU_DEBUGCON,  /* port E9h: bytes, output only */
	VCPU_KEYBOARD,  /* scan codes, set 1, as the i8042 delivers them: input only */
	VCPU_POWER,     /* input only, no bytes: the power button */
	VCPU_LOG,       /* output only: one line of text: an error of the guest, or a feature that is not implemented */
	VCPU_COM2,      /* 2F8h, 3E8h, 2E8h */
	VCPU_COM3,
	VCPU_COM4,
	VCPU_LPT1,      /* the parallel port at 378h: bytes, output only */
	VCPU_MOUSE,     /* input only: struct vcpu_mouse, 1 to 4096 of them */
	VCPU_CONSOLE,   /* the virtio console: bytes */
	VCPU_NET,       /* the network adapter: one Ethernet frame without its checksum, 14 to 1514 bytes; virtio: up to 65549, an IP packet that
	                   is larger than a wire takes but right in itself, its checksums too: who puts it on a wire cuts it. In, the same: a frame
	                   beyond 1514 bytes is for a guest that has asked for segmentation offload, else dropped */
	VCPU_SHARE,     /* the shared folder: one 9P2000.L message; requests (to 1 MiB) go out, answers come in */
	VCPU_SOUND,     /* output only, where the configuration asks for sound: 44100 Hz, 16-bit signed stereo samples */
	VCPU_FIRMWARE,  /* port 402h: bytes, output only, what firmware says about its work */
	VCPU_RESET,     /* input only, no bytes: the reset button */
	VCPU_MEDIUM,    /* input only: a struct vcpu_medium */
	VCPU_HOST_LOG,  /* output only: one line of text for the user, what the host failed at: an image that cannot be read, a server that is gone */
	VCPU_CHANNELS
};

/* What a mouse did: movements (right and up are positive), buttons that are down now (1 left, 2 right, 4 middle, 8 and 16 beside), clicks of the wheel (towards
 * the user is positive). */
struct vcpu_mouse { int16_t dx, dy, wheel; uint16_t buttons; };

/* Another medium for drives[drive] of the configuration, a floppy or CD-ROM drive: 1 is the first image that it has, its own or one of those on the
 * shelf that follow it, and so on; 0: it is empty. A CD-ROM drive that the guest has locked takes none. */
struct vcpu_medium { uint8_t drive, medium; };

#define VCPU_DRIVES 16
#define VCPU_LOADS 64

/* VCPU_BUS_SHELF: no drive, but an image for the floppy or CD-ROM drive before it in the list; there may be several. */
enum vcpu_bus { VCPU_BUS_IDE, VCPU_BUS_AHCI, VCPU_BUS_VIRTIO, VCPU_BUS_FLOPPY, VCPU_BUS_SHELF };

/* A drive and its medium. IMAGE is "FILE[,readonly][,snapshot][,overlay=FILE][,offset=BYTES][,size=BYTES]" or "nbd:URI"; NULL: the drive is
 * empty (CD-ROM and floppy). Drives take the places of their bus in the order given. A network block device that does not answer holds vcpu_run
 * for 30 seconds at most, and for 250 ms when vcpu_stop was called: the request is not lost then, the next vcpu_run waits for the rest of it. */
struct vcpu_drive {
	const char *image;
	enum vcpu_bus bus;
	bool cdrom;              /* IDE and AHCI: an ATAPI CD-ROM drive */
};

/* How instructions are carried out. Which engine it is changes nothing that can be seen but time: states, counts and recordings are the same. */
enum vcpu_engine {
	VCPU_ENGINE_BEST,        /* stitched, where the library was built with it and the host allows it; else the interpreter */
	VCPU_ENGINE_INTERPRETER,
	VCPU_ENGINE_STITCHED     /* code that runs often becomes machine code, made of the interpreter's own; vcpu_new fails where that cannot be */
};

/* Everything is optional: zero means what is said in brackets. Pointers need to live only until vcpu_new returns, except the
 * callback's. */
struct vcpu_config {
	uint64_t memory;         /* bytes of RAM, a multiple of 1 MiB, 1 MiB to 1 TiB [128 MiB] */
	const char *cpu;         /* "MODEL[,+feature|,-feature]...": see vcpu_models [max] */
	bool bare;               /* no PC: no RAM, no devices; map memory with vcpu_map [a PC] */

	/* What to boot, by file name or by contents (DATA wins). A kernel may be a Linux bzImage, a multiboot 1 image, an ELF with a
	 * PVH note, or a flat image (loaded at 7C00h and entered in real mode, as a boot sector). [none: the CPU starts at its reset vector] */
	const char *kernel;
	const void *kernel_data;
	size_t kernel_size;
	const char *initrd;      /* or multiboot modules, separated by commas: "file args,file args" */
	const void *initrd_data;
	size_t initrd_size;
	const char *append;      /* command line */
	/* Bytes for RAM: "ADDRESS=FILE" or "ADDRESS=hex:BYTES", in order, behind what is booted, at power-on and at every
	 * reset. An address is physical, below 4 GiB, in C's notation. */
	const char *const *loads;
	unsigned loads_count;    /* at most VCPU_LOADS */

	/* The rest of the PC. */
	unsigned processors;     /* 1 to 64 [1] */
	const char *bios;        /* firmware to start: a file, at the top of memory ["bios-256k.bin" of Debian's package seabios, if there are drives
	                            or a display and no kernel]. It is told of the kernel, a Linux one: OVMF takes it */
	const char *vars;        /* flash that the firmware may write, below it: a file, e.g. OVMF_VARS; ",snapshot" leaves it as it is [none] */
	const void *vars_data;   /* or its contents (DATA wins): what is written stays in the machine */
	size_t vars_size;
	const char *display;     /* "vga" or "none" ["vga" with firmware, else "none"] */
	const struct vcpu_drive *drives;
	unsigned drives_count;   /* at most VCPU_DRIVES */
	bool ide;                /* the IDE controller without drives, too: its ports say that there are none [with VCPU_BUS_IDE drives only] */
	const char *boot;        /* order for the firmware: letters of a floppy, c disk, d CD-ROM, n network ["cda"]; of each, as drives[] has them */
	const char *nic;         /* "virtio", "e1000", "ne2000" or "none" ["none"] */
	uint8_t mac[6];          /* of the network adapter [52:54:00:12:34:56] */
	bool console;            /* a virtio console */
	bool rng;                /* a virtio source of random numbers, from the seed */
	const char *share;       /* a virtio 9P transport with this mount tag; VCPU_SHARE carries its messages [none] */
	bool sound;              /* a Sound Blaster 16; VCPU_SOUND carries it and the PC speaker */
	bool serial_instant;     /* what the guest writes to a serial port is sent at once: the transmitter is always empty [a
	                            character takes its time at the port's speed] */
	bool test_ports;         /* QEMU's test device: a register at ports E0h and E8h, interrupt lines at 2000h to 2017h, memory at
	                            FF000000h. Ports that end a run elsewhere: "Shutdown" to 8900h (Bochs), 2000h to B004h
	                            (old firmware), a value to 501h */

	enum vcpu_engine engine; /* [the fastest that there is] */
	bool no_skip_waiting;    /* A loop that only reads RAM, or polls a device, cannot end before the next event. Execute it all the same; else its rounds are counted at once.
	                          * States, counts and recordings are the same. [rounds are counted] */
	uint64_t ns_per_instruction_q16; /* virtual ns an instruction takes, 16.16 fixed point [65536: 1 ns] */
	uint64_t seed;           /* deterministic jitter of timer deadlines, and RDRAND [0: no jitter] */
	uint64_t rtc;            /* seconds since 1970 at power-on, UTC [2000-01-01 00:00:00] */

	/* Output: LEN bytes from CHANNEL; a callback, see above. [thrown away] */
	void (*output)(void *user, enum vcpu_channel channel, const void *data, size_t len);
	void *user;
};

/* Make a machine. NULL on failure, with one line in *ERROR that says what was wrong and where. */
VCPU_API vcpu *vcpu_new(const struct vcpu_config *config, char **error);
/* NULL is fine. In a callback of V it does nothing. */
VCPU_API void vcpu_free(vcpu *v);

enum vcpu_stop_reason {
	VCPU_STOP_LIMIT,        /* as many instructions as asked for have retired, or exceptions and interrupts that retire none took as much time */
	VCPU_STOP_REQUEST,      /* vcpu_stop was called */
	VCPU_STOP_POWEROFF,     /* the guest switched itself off (ACPI S5) */
	VCPU_STOP_DEBUG_EXIT,   /* the guest wrote to the debug-exit port (F4h); code is the value */
	VCPU_STOP_TRIPLE_FAULT, /* vcpu_fault_chain tells how; code is the processor's number */
	VCPU_STOP_HALT,         /* halted, and nothing can ever wake it */
	VCPU_STOP_IDLE,         /* halted, and has slept in this call for as long as the instructions asked for would take; on a bare CPU: HLT */
	VCPU_STOP_EXCEPTION,    /* bare CPU only: a fault that the guest has no IDT for; code is the vector */
	VCPU_STOP_DISK_FULL,    /* the host has no room for what a drive must write (vcpu_error tells): make room and call again: the write, of which the
	                           guest has heard nothing yet, is done again, and nothing is lost */
	VCPU_STOP_DISK_ERROR,   /* a flush of a drive's image failed: what the guest wrote since the last one may be lost (vcpu_error tells: the image, the
	                           operation, the host's reason). Call again, and the guest sees an error of its flush and goes on; every later flush of
	                           that image fails too, until it is opened again, by a new machine. The stop comes once for each image */
	VCPU_STOP_TIME,         /* a virtual time of vcpu_limit_time has come */
	VCPU_STOP_HOST,         /* the host failed (out of memory): vcpu_error tells */
};

struct vcpu_stop {
	enum vcpu_stop_reason reason;
	uint32_t code;
};

/* The reason in a word ("limit", "poweroff", "debug-exit", "triple-fault", ...): for people and for JSON. */
VCPU_API const char *vcpu_stop_name(enum vcpu_stop_reason reason);

/* Retire at most INSTRUCTIONS instructions. Time that the guest sleeps away in HLT passes at once and retires none; so that the caller
 * hears from an idle guest too, VCPU_STOP_IDLE comes after as much virtual time: call again. The same machine comes to the same state at the
 * same instruction no matter how a run is cut into calls.
 *
 * No guest keeps it from returning. Exceptions and interrupts retire nothing, but a fault takes the virtual time of an
 * instruction, and so does every other delivery that comes when nothing has retired since the last one (with several
 * processors, a few are free). A call ends when that time comes to what INSTRUCTIONS take.
 *
 * In host time, on a 3 GHz processor of 2026: most instructions take a few ns; XSAVE, task switches, exceptions and the like up
 * to some us. A repeated string instruction retires every 4096 elements: those take up to 20 us in memory, and 4096 times what
 * the device takes on a device, 0.2 ms to 1 ms for those of the PC. */
VCPU_API struct vcpu_stop vcpu_run(vcpu *v, uint64_t instructions);
/* Have all that the guest wrote to its drives on the host's disks, as the end of a run should: vcpu_free does so too, but cannot tell. Returns 0, or
 * -1 with vcpu_error: an image could not be flushed now, or a flush of it has failed before. */
VCPU_API int vcpu_flush(vcpu *v);
/* Make the current or next vcpu_run return soon, at an instruction boundary; in a callback, behind the instruction that has caused it; else
 * within 50 ms of host time on such a processor, whatever the guest does, as long as callbacks of the caller's, and the host's disks, answer in time.
 * The one call that is safe from a signal handler or another thread. It does not change what the guest sees. */
VCPU_API void vcpu_stop(vcpu *v);
/* Virtual times, in ns, at which every later run of V stops, with VCPU_STOP_TIME: at END exactly, awake or asleep; at SLEEP_END
 * if the guest sleeps then, else when it sleeps next, or is stuck in exceptions and interrupts that retire nothing. All ones: no
 * such time [both]. They are the caller's, and no part of the state. Not while V runs. */
VCPU_API void vcpu_limit_time(vcpu *v, uint64_t end, uint64_t sleep_end);

/* Give input to the machine, now. Bytes that a device cannot take at once wait in its queue. This is the one way in: record it, with
 * vcpu_instructions, and the run can be repeated. Returns 0, or -1 with vcpu_error, and nothing was taken: the channel takes no input, or
 * the queue (64 KiB for COM1) has no room for all of it, or it was called in a callback, where there is no place of the run at which
 * it could be given again. */
VCPU_API int vcpu_input(vcpu *v, enum vcpu_channel channel, const void *data, size_t len);

VCPU_API uint64_t vcpu_instructions(const vcpu *v); /* retired since power-on */
VCPU_API uint64_t vcpu_virtual_ns(const vcpu *v);   /* virtual time since power-on */
VCPU_API uint64_t vcpu_resident(const vcpu *v);     /* bytes of guest RAM that the host has given */
/* What the cache of decoded code has done since V was made: for statistics. It depends on how V was run (engine, lengths of runs, debuggers),
 * and is no part of the state. */
struct vcpu_cache {
	uint64_t blocks_16, blocks_32, blocks_64; /* pieces of straight code that were decoded, by the size of their mode's operands */
	uint64_t operations, guest_bytes;         /* in all of these */
	uint64_t single;                          /* besides: of one instruction, for runs that end within a block, single steps, breakpoints */
	uint64_t stitched, host_bytes;            /* blocks that became machine code; bytes of machine code */
	uint64_t links;                           /* direct jumps that were linked to the block where they go */
	uint64_t stale;                           /* blocks that were given up singly, most because the guest wrote to their code */
	uint64_t flushes;                         /* of all blocks */
};
VCPU_API struct vcpu_cache vcpu_cache_counts(const vcpu *v); /* all 0 for NULL */
VCPU_API const char *vcpu_error(const vcpu *v);     /* last error text of a call that failed, or "" */

/* One exception on the way to a triple fault. */
struct vcpu_fault {
	uint8_t vector;
	bool has_error;
	uint32_t error;
	uint16_t cs;
	uint64_t rip;
	uint64_t cr2; /* meaningful for vector 14 */
	char text[256]; /* what it means, in a sentence */
	const char *why; /* the check that failed, to follow "because", with its section of the SDM (vol. 3 unless it says otherwise); NULL: the vector says it */
};
/* The faults that led to VCPU_STOP_TRIPLE_FAULT: the one that the others followed from is first, whatever its kind. At most MAX of them go to OUT, the number
 * there are is returned. (A double fault that leads to another fault is not told.) */
VCPU_API unsigned vcpu_fault_chain(const vcpu *v, struct vcpu_fault *out, unsigned max);

/* Registers, by number for speed or by name ("rax", "eip", "cs", "cr3", "xmm0", "st0", "efer", ...). Parts of registers ("eax", "ah", "eflags")
 * and vectors have names and numbers too, beyond VCPU_REGISTERS: of "xmm0" and "st0", vcpu_get and vcpu_set see the low 64 bits. */
enum vcpu_register {
	VCPU_RAX, VCPU_RCX, VCPU_RDX, VCPU_RBX, VCPU_RSP, VCPU_RBP, VCPU_RSI, VCPU_RDI,
	VCPU_R8, VCPU_R9, VCPU_R10, VCPU_R11, VCPU_R12, VCPU_R13, VCPU_R14, VCPU_R15,
	VCPU_RIP, VCPU_RFLAGS,
	VCPU_ES, VCPU_CS, VCPU_SS, VCPU_DS, VCPU_FS, VCPU_GS, VCPU_LDTR, VCPU_TR, /* selectors */
	VCPU_CR0, VCPU_CR2, VCPU_CR3, VCPU_CR4, VCPU_CR8, VCPU_EFER,
	VCPU_DR0, VCPU_DR1, VCPU_DR2, VCPU_DR3, VCPU_DR6, VCPU_DR7,
	VCPU_FS_BASE, VCPU_GS_BASE, VCPU_MXCSR, VCPU_FCW, VCPU_FSW,
	/* The hidden parts, which follow from the selectors and from LGDT and LIDT: to be read only. Limits are in bytes, the last one included. */
	VCPU_ES_BASE, VCPU_CS_BASE, VCPU_SS_BASE, VCPU_DS_BASE, VCPU_LDTR_BASE, VCPU_TR_BASE, VCPU_GDTR_BASE, VCPU_IDTR_BASE,
	VCPU_LDTR_LIMIT, VCPU_TR_LIMIT, VCPU_GDTR_LIMIT, VCPU_IDTR_LIMIT,
	VCPU_CODE_BITS, /* 16, 32 or 64: what CS makes of the code */
	VCPU_CPL,
	VCPU_REGISTERS
};
VCPU_API int vcpu_register_by_name(const char *name); /* -1: no such register, or NULL */
VCPU_API const char *vcpu_register_name(int reg);     /* NULL: no such number */
VCPU_API uint64_t vcpu_get(const vcpu *v, int reg);   /* 0: no such number */
/* Returns 0, or -1 with vcpu_error: the register does not exist or cannot hold VALUE, or cannot be set in this callback. Writing a selector in real or virtual-8086 mode sets base and
 * limit as the processor would; in protected mode it loads the descriptor. */
VCPU_API int vcpu_set(vcpu *v, int reg, uint64_t value);
/* 0, or -1: there is no register N. */
VCPU_API int vcpu_get_vector(const vcpu *v, unsigned n, void *xmm16);      /* XMM n, 16 bytes */
VCPU_API int vcpu_set_vector(vcpu *v, unsigned n, const void *xmm16);
VCPU_API int vcpu_get_st(const vcpu *v, unsigned n, void *st10);           /* ST(n), 10 bytes */
VCPU_API int vcpu_set_st(vcpu *v, unsigned n, const void *st10);

/* Several processors: registers and linear addresses are those of the processor that was selected last [0]. vcpu_select returns 0, or -1 with
 * vcpu_error if there is no processor N. Selecting changes nothing for the guest. */
VCPU_API unsigned vcpu_processors(const vcpu *v);
VCPU_API int vcpu_select(vcpu *v, unsigned n);
VCPU_API unsigned vcpu_selected(const vcpu *v);
/* The number of the processor whose turn it is: the one that ran last. */
VCPU_API unsigned vcpu_running(const vcpu *v);

VCPU_API unsigned vcpu_widest_mode(const vcpu *v); /* bits of the widest mode that its processor has: 16, 32 or 64 */
/* Bits of the kernel that it was made with: 32 or 64, the class of an ELF file, 64 of a Linux bzImage that can be
 * entered so; 0: there is none, or its file does not say. */
VCPU_API unsigned vcpu_kernel_bits(const vcpu *v);

/* The processor's mode, for bare use: sets CS, SS, DS, ES flat and CR0, CR4, EFER to match. Paging stays off below 64 bits; for 64 bits
 * an identity map is assumed that needs no page tables in guest memory. */
VCPU_API int vcpu_set_mode(vcpu *v, unsigned bits); /* 16, 32 or 64; -1 otherwise or if the model lacks it */

/* Memory. Physical addresses; _linear ones go through the current page tables. Both work without side effects: devices are not
 * touched. Return the number of bytes done before the first address that has no RAM or no translation. */
VCPU_API size_t vcpu_read_physical(const vcpu *v, uint64_t address, void *out, size_t len);
VCPU_API size_t vcpu_write_physical(vcpu *v, uint64_t address, const void *in, size_t len);
VCPU_API size_t vcpu_read_linear(const vcpu *v, uint64_t address, void *out, size_t len);
VCPU_API size_t vcpu_write_linear(vcpu *v, uint64_t address, const void *in, size_t len);
/* Bare use: LEN bytes (multiple of 4096, at most 1 TiB) of zeroed memory at ADDRESS. 0, or -1 with vcpu_error: also where something is. */
VCPU_API int vcpu_map(vcpu *v, uint64_t address, uint64_t len);
/* A device of the caller's own, over what is there already. Offsets are from BASE; SIZE is 1, 2, 4 or 8. NAME, of 1
 * to VCPU_DEVICE_NAME bytes, is that of no other one; it is copied, as *DEVICE is. 0, or -1 with vcpu_error, and
 * nothing is mapped: an impossible argument, or the machine is being recorded. Zero in a field means what is said
 * in brackets.
 *
 * Saved states, snapshots, recordings and debuggers ask a device for its state and give it back. One that has
 * neither save and restore nor says that it is stateless may remember anything: its machine cannot be saved, loaded
 * or recorded, a snapshot of it can be taken but not restored, and a debugger does not go back. vcpu_error tells. A
 * device in several places gives its state in one of them and is stateless in the others. A debugger goes through
 * the same piece of a run many times, and so do the device's callbacks. */
#define VCPU_DEVICE_NAME 48
#define VCPU_DEVICE_STATE (16u << 20)
struct vcpu_device {
	uint64_t (*read)(void *user, uint64_t offset, unsigned size);               /* [all ones are read] */
	void (*write)(void *user, uint64_t offset, unsigned size, uint64_t value); /* [writes vanish] */
	void *user;
	bool stateless;    /* it remembers nothing that can ever be seen [it may] */
	size_t state_size; /* bytes of its state, always as many, at most VCPU_DEVICE_STATE; with save and restore, else 0 */
	/* Write the state: the same bytes for the same state. vcpu_state_hash covers them. */
	void (*save)(void *user, void *state);
	/* Be in that state, which save has given, here or in another process, or which a damaged file has. False: that cannot be; nothing has
	 * changed, and the machine is not loaded or restored. The machine must not be looked at or changed in these two. */
	bool (*restore)(void *user, const void *state);
};
VCPU_API int vcpu_map_device(vcpu *v, const char *name, uint64_t base, uint64_t size, const struct vcpu_device *device);
VCPU_API int vcpu_map_ports(vcpu *v, const char *name, uint16_t base, unsigned count, const struct vcpu_device *device);

/* The whole state. The hash covers everything that a guest can ever observe, and the instruction count. */
VCPU_API uint64_t vcpu_state_hash(const vcpu *v);
/* Save to a malloc'd buffer (the caller frees). Load into a machine made with the same configuration: false, with one line in *ERROR and
 * the machine unchanged, if the data is damaged, of another version, or of another configuration. It unpacks to no more than the machine has: its
 * memory, and the blocks that its snapshot disks can have; what would be more is refused where it begins to be, and before any of it is taken. */
VCPU_API bool vcpu_save(const vcpu *v, void **data, size_t *len, char **error);
VCPU_API bool vcpu_load(vcpu *v, const void *data, size_t len, char **error);
/* The state's parts, each with its hash: to find where two states differ. Calls EACH for every part. */
VCPU_API void vcpu_state_parts(const vcpu *v, void (*each)(void *user, const char *part, uint64_t hash), void *user);

/* The picture on the display: an observation that changes nothing. False: there is no display, or it shows nothing. PIXELS (NULL: only the
 * sizes are wanted) gets width * height numbers 00RRGGBBh, row by row; nothing is written if COUNT is less. */
struct vcpu_screen {
	unsigned width, height;             /* dots, as a monitor shows them: 640 x 400 of a mode of 320 x 200 */
	unsigned columns, rows;             /* of a text mode; else 0 */
	bool cursor;                        /* a text mode's cursor is on and within the picture: where */
	unsigned cursor_column, cursor_row;
};
VCPU_API bool vcpu_screen(const vcpu *v, struct vcpu_screen *screen, uint32_t *pixels, size_t count);
/* The characters of a text mode: rows in UTF-8, without the blanks at their ends, each with a newline. Returns the length of all of it, without
 * the 0 that is put behind what fits into SIZE bytes; 0 when there is no text mode. 16 KiB hold any usual screen. */
VCPU_API size_t vcpu_screen_text(const vcpu *v, char *text, size_t size);
/* Press and release the keys that make TEXT (ASCII, UTF-8 otherwise is left out) on a US keyboard, through vcpu_input. Returns how many bytes of
 * TEXT have been typed: fewer than there are if the keyboard has no room for more now. */
VCPU_API size_t vcpu_type_text(vcpu *v, const char *text);
/* Put the next medium into the first drive that has several, through vcpu_input; behind the last one the drive is empty, then comes the first. Returns
 * its number as in struct vcpu_medium, or -1 with vcpu_error. */
VCPU_API int vcpu_next_medium(vcpu *v);

/* Models and the table. */
VCPU_API const char *vcpu_version(void);
VCPU_API const char *const *vcpu_models(void); /* names, NULL at the end */
/* The instruction table, row by row; false when ROW is past the end. A column that is empty for the row is "". */
struct vcpu_insn {
	const char *mnemonic, *encoding, *operands, *since, *modes;
	const char *popek;          /* "innocuous", "privileged", "control", "behaviour" */
	const char *vmexit;
	char check[96];             /* "CPL0 UMIP" */
	char flags_written[48], flags_read[48], flags_undefined[48]; /* "OSZAPC" as letters, the others as words: "OC D", "I IOPL" */
	char reads[96], writes[96]; /* system resources: "CR0 IF" */
	bool lock, rep;
	const char *since_256;      /* the feature that 256 bits need in place of `since'; "": the same */
};
VCPU_API bool vcpu_isa_row(unsigned row, struct vcpu_insn *out);
/* Popek and Goldberg's theorem: rows that a monitor would miss which runs its guest directly on processor CPU (as in the configuration), because
 * they touch system resources without a trap. The guest is at CPL 3; there with CR4.UMIP set; or in VMX non-root operation. Returns how many
 * there are, and the first MAX in ROWS (NULL if MAX is 0), in order; -1: there is no such processor. */
enum vcpu_monitor { VCPU_MONITOR_CPL3, VCPU_MONITOR_UMIP, VCPU_MONITOR_VTX };
VCPU_API int vcpu_isa_theorem(const char *cpu, enum vcpu_monitor monitor, unsigned *rows, unsigned max);

#ifdef __cplusplus
}
#endif
#endif
