/* SPDX-License-Identifier: MIT */
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
 * A machine is a pure function of its configuration and of its inputs. vcpu_input() stamps each input with the
 * instruction count. The library reads no host clock, environment or randomness. It prints nothing, never exits or
 * aborts, starts no thread and has no globals. A process can have any number of machines. One thread at a time may
 * use a machine.
 *
 * A string that is returned through a `char **error` is malloc'd and belongs to the caller. ERROR may be NULL.
 *
 * Every function that takes a machine, a recording or a debugger accepts NULL for it and fails: it returns -1,
 * false, NULL, VCPU_STOP_HOST or VCPU_DEBUG_ERROR. A function that returns a number returns 0. A function that
 * returns nothing does nothing.
 *
 * Callbacks are the functions of struct vcpu_device and struct vcpu_hook, vcpu_config.output, and the function
 * arguments of vcpu_debug_trace, vcpu_debug_condition, vcpu_debug_coverage, vcpu_state_parts and vcpu_record. The
 * library calls most of them in the middle of an instruction. In a callback
 *   - VCPU_RIP is the address of that instruction. vcpu_instructions counts the instructions before it.
 *     vcpu_virtual_ns is the time at its beginning. The other registers are as the instruction has left them so far.
 *     If a processor fetches code from the device, VCPU_RIP is the address of that code. If a processor delivers an
 *     interruption onto a stack in the device, VCPU_RIP is the address of the instruction that follows the
 *     interruption. With several processors, vcpu_running is the number of the processor that executes the
 *     instruction, and vcpu_select chooses the processor whose registers are read;
 *   - vcpu_stop ends the current vcpu_run behind that instruction. A repeated string instruction counts as one
 *     instruction for each part of at most 4096 elements;
 *   - vcpu_set works. After a write to VCPU_RIP the guest goes on at the new address behind that instruction. If the
 *     instruction faults, the processor enters the handler and forgets the new RIP. Results of the instruction are
 *     written after vcpu_set. Outside of an instruction (during a code fetch, a delivery or a timer's event) only
 *     general registers, vectors, CR2, MXCSR, FCW and FSW can be set; vcpu_set of another register returns -1;
 *   - registers and memory can be read and written. vcpu_map, vcpu_map_device, vcpu_map_ports, vcpu_select and all
 *     queries work. A change of memory that holds code takes effect at the next instruction;
 *   - calls that need the machine to stand between two instructions fail, and the machine goes on: vcpu_run,
 *     vcpu_input (and vcpu_type_text, vcpu_next_medium), vcpu_flush, vcpu_save, vcpu_load, vcpu_state_hash (0),
 *     vcpu_state_parts (no part), vcpu_set_mode, vcpu_snapshot_take, vcpu_snapshot_restore, vcpu_record,
 *     vcpu_record_end, vcpu_replay_run, vcpu_trim, vcpu_clone, vcpu_dump_load, vcpu_dump_save, vcpu_registers_load,
 *     vcpu_template_take, vcpu_template_load, and every vcpu_debug_* that runs the machine or changes its stops. Call
 *     vcpu_stop, and call them after vcpu_run has returned;
 *   - vcpu_free and vcpu_debug_free do nothing but leave a text for vcpu_error.
 *
 * A callback of one machine may call into another machine. */
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

/* The source of output and the destination of input. */
enum vcpu_channel {
	VCPU_COM1,      /* the 16550A at 3F8h: bytes */
	VCPU_DEBUGCON,  /* port E9h: bytes, output only */
	VCPU_KEYBOARD,  /* scan codes, set 1, as the i8042 delivers them: input only */
	VCPU_POWER,     /* input only, no bytes: the power button */
	VCPU_LOG,       /* output only: one line of text for each guest error or unimplemented feature */
	VCPU_COM2,      /* 2F8h, 3E8h, 2E8h */
	VCPU_COM3,
	VCPU_COM4,
	VCPU_LPT1,      /* the parallel port at 378h: bytes, output only */
	VCPU_MOUSE,     /* input only: struct vcpu_mouse, 1 to 4096 of them */
	VCPU_CONSOLE,   /* the virtio console: bytes */
	VCPU_NET,       /* the network adapter: one Ethernet frame without its checksum, 14 to 1514 bytes. The virtio
	                   adapter sends up to 65549 bytes: an IP packet with right checksums that the caller must
	                   segment before it goes onto a wire. Input may be as long; the device drops a frame beyond
	                   1514 bytes unless the guest has enabled segmentation offload */
	VCPU_SHARE,     /* the shared folder: one 9P2000.L message; requests (to 1 MiB) go out, replies come in */
	VCPU_SOUND,     /* output only, with .sound: 44100 Hz, 16-bit signed stereo
	                   samples */
	VCPU_FIRMWARE,  /* port 402h: bytes, output only: the log of the firmware */
	VCPU_RESET,     /* input only, no bytes: the reset button */
	VCPU_MEDIUM,    /* input only: a struct vcpu_medium */
	VCPU_HOST_LOG,  /* output only: one line of text for each failure of the host: an unreadable image, a lost
	                   server */
	VCPU_NMI,       /* input only, no bytes: an NMI, on LINT1 of all processors. Refused while bit 7 of port 70h masks
	                   it */
	VCPU_MACHINE_CHECK, /* input only: a struct vcpu_machine_check */
	VCPU_CHANNELS
};

/* An event of the mouse: the movement (right and up are positive), the buttons that are down (1 left, 2 right, 4
 * middle, 8 and 16 side) and the clicks of the wheel (towards the user is positive). */
struct vcpu_mouse { int16_t dx, dy, wheel; uint16_t buttons; };

/* Another medium for drives[drive] of the configuration, a floppy or CD-ROM drive. 1 is the drive's first image: its
 * own, or the first of the VCPU_BUS_SHELF entries that follow it. 0 empties the drive. A CD-ROM drive that the guest
 * has locked refuses the change. */
struct vcpu_medium { uint8_t drive, medium; };

/* An error of the hardware, which the bank records as IA32_MCi_STATUS, IA32_MCi_ADDR (with bit 58 of STATUS) and
 * IA32_MCi_MISC (bit 59); bit 63 of STATUS must be 1. If it is not corrected (bit 61), and enabled (bit 60, and the
 * guest's IA32_MCG_CTL and IA32_MCi_CTL are not 0), #MC follows before the next instruction, with the low two bits of
 * MCG_STATUS; a shutdown if CR4.MCE is 0 or the guest has not cleared the last #MC's MCIP. Refused by models without
 * banks, as max is. CMCI is not announced: guests poll for corrected errors. */
struct vcpu_machine_check {
	uint32_t processor;      /* 0: the first */
	uint16_t bank;
	uint16_t everywhere;     /* 1: #MC comes to all processors, as Intel's do */
	uint64_t status, addr, misc, mcg_status;
};

#define VCPU_DRIVES 16
#define VCPU_LOADS 64

/* VCPU_BUS_SHELF is not a drive but a further image of the floppy or CD-ROM drive before it in the list. */
enum vcpu_bus { VCPU_BUS_IDE, VCPU_BUS_AHCI, VCPU_BUS_VIRTIO, VCPU_BUS_FLOPPY, VCPU_BUS_SHELF };

/* A drive and its medium. IMAGE is "FILE[,readonly][,snapshot][,overlay=FILE][,offset=BYTES][,size=BYTES]" or
 * "nbd:URI". OFFSET and SIZE make a disk of a part of FILE: multiples of 512 within it, with a suffix K, M, G or T.
 * Parts that overlap are refused, within a machine and between machines, if one of them can be written. NULL is an
 * empty CD-ROM or floppy drive. Drives take the places of their bus in the order of the list.
 * A network block device that does not reply blocks vcpu_run for at most 30 seconds, or 250 ms after vcpu_stop. The
 * request is not lost then: the next vcpu_run waits for the rest of the time. */
struct vcpu_drive {
	const char *image;
	enum vcpu_bus bus;
	bool cdrom;              /* IDE and AHCI: an ATAPI CD-ROM drive */
};

/* The engine executes the instructions. It changes the host time only: states, counts and recordings are the same. */
enum vcpu_engine {
	VCPU_ENGINE_BEST,        /* stitched, if the library was built with it and the host allows it; else the
	                            interpreter */
	VCPU_ENGINE_INTERPRETER,
	VCPU_ENGINE_STITCHED     /* hot code becomes machine code: copies of the interpreter's handlers. vcpu_new
	                            fails without it */
};

/* Every member is optional: zero means the default in brackets. Pointers must be valid until vcpu_new returns; USER
 * must be valid as long as the machine. */
struct vcpu_config {
	/* sizeof(struct vcpu_config) of the header that the program was compiled with: later versions have more members
	 * at the end, and take those that are missing as zero. An earlier version refuses members that it does not know,
	 * unless they are zero. [that of the library, which must be of the same version then] */
	size_t size;
	uint64_t memory;         /* bytes of RAM, a multiple of 1 MiB, 1 MiB to 1 TiB [128 MiB] */
	const char *cpu;         /* "MODEL[,+feature|,-feature]...": see vcpu_models [max] */
	bool bare;               /* no PC: no RAM, no devices; map memory with vcpu_map [a PC] */

	/* The kernel, by file name or by contents (DATA wins): a Linux bzImage, a multiboot 1 or 2 image, an ELF
	 * file with a PVH note, or a flat image, which is loaded at 7C00h and entered in real mode. [none: the CPU
	 * starts at its reset vector] */
	const char *kernel;
	const void *kernel_data;
	size_t kernel_size;
	const char *initrd;      /* or multiboot modules, separated by commas: "file args,file args" */
	const void *initrd_data;
	size_t initrd_size;
	const char *append;      /* command line */
	/* Bytes for RAM: "ADDRESS=FILE" or "ADDRESS=hex:BYTES". They are loaded in order, after the kernel, at
	 * power-on and at every reset. An address is physical, below 4 GiB, in C's notation. */
	const char *const *loads;
	unsigned loads_count;    /* at most VCPU_LOADS */

	/* The rest of the PC. */
	unsigned processors;     /* 1 to 64 [1] */
	const char *bios;        /* firmware: a file that ends at 4 GiB ["bios-256k.bin" of Debian's package seabios,
	                            if there are drives or a display and no kernel]. The firmware finds a Linux
	                            kernel through fw_cfg; OVMF starts it, and so does SeaBIOS, in real mode */
	const char *vars;        /* flash for the firmware's variables: a file, e.g. OVMF_VARS; ",snapshot" does not
	                            change it [none] */
	const void *vars_data;   /* or its contents (DATA wins); writes stay in the machine */
	size_t vars_size;
	const char *display;     /* "vga" or "none" ["vga" with firmware, else "none"] */
	const struct vcpu_drive *drives;
	unsigned drives_count;   /* at most VCPU_DRIVES */
	bool ide;                /* an IDE controller even without IDE drives: its ports report no drive [only with drives
	                            on VCPU_BUS_IDE] */
	const char *boot;        /* boot order: letters of a floppy, c disk, d CD-ROM, n network ["cda"]; within a
	                            kind, the order of drives[] */
	const char *nic;         /* "virtio", "e1000", "ne2000" or "none" ["none"] */
	uint8_t mac[6];          /* of the network adapter [52:54:00:12:34:56] */
	bool console;            /* a virtio console */
	bool rng;                /* a virtio source of random numbers, from the seed */
	const char *share;       /* a virtio 9P transport with this mount tag; VCPU_SHARE carries its messages [none] */
	bool sound;              /* a Sound Blaster 16; VCPU_SOUND carries its samples and the PC speaker's */
	bool serial_instant;     /* The transmitters of serial ports are always empty. [a character takes its time at the
	                            port's speed] */
	bool test_ports;         /* QEMU's test device: a register at ports E0h and E8h, interrupt lines at 2000h to
	                            2017h, memory at FF000000h. Also the ports that end a run on other emulators:
	                            "Shutdown" to 8900h (Bochs), 2000h to B004h (old firmware), a value to 501h */

	enum vcpu_engine engine; /* [VCPU_ENGINE_BEST] */
	bool no_skip_waiting;    /* Execute every round of a loop that waits for an event: a round leaves
	                            registers, memory and devices unchanged. States, counts and recordings are the
	                            same. [one round is executed, the others are counted] */
	uint64_t ns_per_instruction_q16; /* virtual ns an instruction takes, 16.16 fixed point [65536: 1 ns] */
	uint64_t seed;           /* deterministic jitter of timer deadlines, and RDRAND [0: no jitter] */
	uint64_t rtc;            /* seconds since 1970 at power-on, UTC [2000-01-01 00:00:00] */

	/* Receives output: LEN bytes from CHANNEL; a callback (see above). [output is discarded] */
	void (*output)(void *user, enum vcpu_channel channel, const void *data, size_t len);
	void *user;
};

/* Make a machine. NULL on failure; *ERROR then has one line with the cause and the file or member. */
VCPU_API vcpu *vcpu_new(const struct vcpu_config *config, char **error);
/* Free a machine and flush its drives. NULL does nothing. In a callback of V it does nothing. */
VCPU_API void vcpu_free(vcpu *v);

enum vcpu_stop_reason {
	VCPU_STOP_LIMIT,        /* the requested number of instructions has retired, or exceptions and interrupts
	                           took the time of as many */
	VCPU_STOP_REQUEST,      /* vcpu_stop was called */
	VCPU_STOP_POWEROFF,     /* the guest switched the machine off (ACPI S5) */
	VCPU_STOP_DEBUG_EXIT,   /* the guest wrote to the debug-exit port (F4h); code is the value */
	VCPU_STOP_TRIPLE_FAULT, /* vcpu_fault_chain has the faults; code is the processor's number */
	VCPU_STOP_HALT,         /* halted, and nothing can ever wake it */
	VCPU_STOP_IDLE,         /* halted, and has slept in this call for the time of the requested instructions; on
	                           a bare CPU: HLT */
	VCPU_STOP_EXCEPTION,    /* bare CPU only: a fault or trap without an IDT; code is the vector */
	VCPU_STOP_DISK_FULL,    /* the host has no room for a write of a drive; vcpu_error has the image. Make room
	                           and call vcpu_run again: it repeats the write, and nothing is lost */
	VCPU_STOP_DISK_ERROR,   /* a flush of a drive's image failed, and the guest's writes since the last flush may
	                           be lost. vcpu_error has the image, the operation and the host's reason. In the
	                           next vcpu_run the guest sees an error of its flush. Every later flush of that
	                           image fails until a new machine opens it. The stop comes once for each image */
	VCPU_STOP_TIME,         /* a virtual time of vcpu_limit_time was reached */
	VCPU_STOP_HOST,         /* the host failed (out of memory); vcpu_error has the reason */
	VCPU_STOP_HOOK,         /* a hook has answered VCPU_HOOK_STOP (vcpu_hook.h); code is its id */
	VCPU_STOP_MISSING,      /* bare CPU only: the next instruction accesses an address without memory or device, or
	                           memory that vcpu_protect denies; code is the right that is missing: VCPU_READ,
	                           VCPU_WRITE (also of an instruction that reads and writes) or VCPU_EXECUTE. The
	                           instruction has not begun: map memory, and the next vcpu_run executes it */
};

struct vcpu_stop {
	enum vcpu_stop_reason reason;
	uint32_t code;
	uint64_t address;       /* VCPU_STOP_EXCEPTION with vector 14, VCPU_STOP_MISSING: of the access, linear;
	                           VCPU_STOP_HOOK: of the event */
	uint32_t error;         /* VCPU_STOP_EXCEPTION: the error code, or 0; VCPU_STOP_MISSING: 1 if memory is there */
	uint32_t size;          /* VCPU_STOP_MISSING: bytes of the access; 1 for code */
};

/* The reason in a word ("limit", "poweroff", "debug-exit", "triple-fault", ...): for people and for JSON. */
VCPU_API const char *vcpu_stop_name(enum vcpu_stop_reason reason);

/* Retire at most INSTRUCTIONS instructions. Sleep in HLT passes at once and retires no instruction. After as much
 * virtual time as INSTRUCTIONS take, an idle guest stops with VCPU_STOP_IDLE: call again. The same machine reaches
 * the same state at the same instruction, however a run is divided into calls.
 *
 * A guest cannot keep vcpu_run from returning. Exceptions and interrupts retire no instruction. A fault takes the
 * virtual time of an instruction. So does every other delivery if no instruction has retired since the last one
 * (with several processors, a few deliveries are free). A call ends when that time reaches the time of INSTRUCTIONS
 * instructions.
 *
 * Host time on a 3 GHz processor of 2026: most instructions take a few ns. XSAVE, task switches and exceptions take
 * up to some us. A repeated string instruction retires every 4096 elements. These take up to 20 us in memory. On a
 * device they take 4096 times the time of the device, 0.2 ms to 1 ms for the devices of the PC. */
VCPU_API struct vcpu_stop vcpu_run(vcpu *v, uint64_t instructions);
/* Flush the guest's writes of all drives to the host's disks. Call it at the end of a run: vcpu_free flushes, too,
 * but cannot report an error. Returns 0, or -1 with vcpu_error: a flush of an image fails now or failed before. */
VCPU_API int vcpu_flush(vcpu *v);
/* Make the current or next vcpu_run return at an instruction boundary: in a callback behind the current instruction,
 * otherwise within 50 ms of host time on a 3 GHz processor of 2026, if callbacks and the host's disks return in
 * time. It is the only call that is safe from a signal handler or another thread: it stores to one lock-free atomic
 * (C11), after which the run sees what the caller wrote before. It does not change the state of the guest. Calls
 * between two stops are one. */
VCPU_API void vcpu_stop(vcpu *v);
/* Set the virtual times, in ns, at which every later run of V stops with VCPU_STOP_TIME. END stops it exactly, awake
 * or asleep. SLEEP_END stops it if the guest sleeps then; else when it sleeps next, or repeats exceptions and
 * interrupts that retire nothing. All ones: no limit [both]. The limits are no part of the state. Not allowed while
 * V runs. */
VCPU_API void vcpu_limit_time(vcpu *v, uint64_t end, uint64_t sleep_end);

/* Give LEN bytes of input to CHANNEL at the current instruction. Bytes that a device cannot take yet wait in its
 * queue. This is the only way in: record the calls with vcpu_instructions, and the run can be repeated. Returns 0,
 * or -1 with vcpu_error, and no byte was taken: the channel takes no input, the queue (64 KiB for COM1) has no room
 * for all bytes, or this is a callback, in which a replay could not repeat the input. */
VCPU_API int vcpu_input(vcpu *v, enum vcpu_channel channel, const void *data, size_t len);

VCPU_API uint64_t vcpu_instructions(const vcpu *v); /* retired since power-on */
VCPU_API uint64_t vcpu_virtual_ns(const vcpu *v);   /* virtual time since power-on */
VCPU_API uint64_t vcpu_resident(const vcpu *v);     /* bytes of guest RAM that are not pages of zeroes, or were
	                                               written */
/* The same and more: bytes of all memory of the guest (RAM, ROM, written blocks of `snapshot' disks), by who holds
 * them. They depend on templates, snapshots and vcpu_trim. They are no part of the state. */
struct vcpu_memory {
	uint64_t own;    /* the host holds them for this machine alone */
	uint64_t shared; /* pages of a template (vcpu_snapshot.h), once for all its machines */
	uint64_t zero;   /* pages of zeroes, which the host does not hold */
};
VCPU_API struct vcpu_memory vcpu_memory_counts(const vcpu *v); /* all 0 for NULL */
/* Give pages back to the host that the guest has written and that are zeroes again. It reads all memory that the
 * machine has of its own. It does not change the state. Returns the number of bytes; 0 in a callback. */
VCPU_API uint64_t vcpu_trim(vcpu *v);
/* Statistics of the cache of decoded code since vcpu_new. They depend on the engine, on the lengths of runs and on
 * debuggers. They are no part of the state. */
struct vcpu_cache {
	uint64_t blocks_16, blocks_32, blocks_64; /* basic blocks that were decoded, by the default operand size of
	                                             their mode */
	uint64_t operations, guest_bytes;         /* the sums over these blocks */
	uint64_t single;                          /* further blocks, of one instruction: for ends of runs, single
	                                             steps, breakpoints */
	uint64_t stitched, host_bytes;            /* blocks that became machine code; bytes of machine code */
	uint64_t links;                           /* direct jumps that were linked to their target block */
	uint64_t stale;                           /* blocks that were invalidated one by one, mostly by writes of the
	                                             guest to their code */
	uint64_t flushes;                         /* invalidations of all blocks */
};
VCPU_API struct vcpu_cache vcpu_cache_counts(const vcpu *v); /* all 0 for NULL */
VCPU_API const char *vcpu_error(const vcpu *v);     /* text of the last call that failed, or "" */

/* One exception on the way to a triple fault. */
struct vcpu_fault {
	uint8_t vector;
	bool has_error;
	uint32_t error;
	uint16_t cs;
	uint64_t rip;
	uint64_t cr2; /* meaningful for vector 14 */
	char text[256]; /* the meaning, in a sentence */
	const char *why; /* the check that failed, with its section of the SDM (vol. 3 unless it names another);
	                    NULL: the vector tells it */
};
/* Get the faults that led to VCPU_STOP_TRIPLE_FAULT, the original fault first. At most MAX of them go to OUT.
 * Returns their number. A double fault that leads to another fault is not one of them. */
VCPU_API unsigned vcpu_fault_chain(const vcpu *v, struct vcpu_fault *out, unsigned max);

/* Registers have numbers and names ("rax", "eip", "cs", "cr3", "ymm0", "k1", "mm0", "st0", "efer", ...). Parts of
 * registers ("eax", "ah", "eflags") and vectors have numbers beyond the enumerations. vcpu_get and vcpu_set access the
 * low 64 bits of what has more; vcpu_get_register and vcpu_set_register all of them. */
enum vcpu_register {
	VCPU_RAX, VCPU_RCX, VCPU_RDX, VCPU_RBX, VCPU_RSP, VCPU_RBP, VCPU_RSI, VCPU_RDI,
	VCPU_R8, VCPU_R9, VCPU_R10, VCPU_R11, VCPU_R12, VCPU_R13, VCPU_R14, VCPU_R15,
	VCPU_RIP, VCPU_RFLAGS,
	VCPU_ES, VCPU_CS, VCPU_SS, VCPU_DS, VCPU_FS, VCPU_GS, VCPU_LDTR, VCPU_TR, /* selectors */
	VCPU_CR0, VCPU_CR2, VCPU_CR3, VCPU_CR4, VCPU_CR8, VCPU_EFER,
	VCPU_DR0, VCPU_DR1, VCPU_DR2, VCPU_DR3, VCPU_DR6, VCPU_DR7,
	VCPU_FS_BASE, VCPU_GS_BASE, VCPU_MXCSR, VCPU_FCW, VCPU_FSW,
	/* The hidden parts, which selectors, LGDT and LIDT have loaded. Those of GDTR and IDTR can be set, those of
	 * segments by vcpu_set_segment. A limit is the offset of
	 * the last byte. */
	VCPU_ES_BASE, VCPU_CS_BASE, VCPU_SS_BASE, VCPU_DS_BASE,
	VCPU_LDTR_BASE, VCPU_TR_BASE, VCPU_GDTR_BASE, VCPU_IDTR_BASE,
	VCPU_LDTR_LIMIT, VCPU_TR_LIMIT, VCPU_GDTR_LIMIT, VCPU_IDTR_LIMIT,
	VCPU_CODE_BITS, /* 16, 32 or 64: the default size of the code segment */
	VCPU_CPL,
	VCPU_REGISTERS
};
/* More of them: the x87's full tag word, the pointers and the opcode of its last instruction and operand; XCR0; PKRU;
 * the time-stamp counter; the activity (0 active, 1 HLT, 2 shutdown, 3 wait for SIPI, 4 MWAIT, 5 an x87 error is
 * frozen), of which 0 and 1 can be set; the hidden parts of segments, which vcpu_set_segment sets; and R16 to R31, with
 * numbers in a row, of a processor with APX. */
enum {
	VCPU_FTW = 0x80, VCPU_FIP, VCPU_FDP, VCPU_FOP, VCPU_FCS, VCPU_FDS,
	VCPU_XCR0, VCPU_PKRU, VCPU_TSC, VCPU_ACTIVITY,
	VCPU_ES_LIMIT, VCPU_CS_LIMIT, VCPU_SS_LIMIT, VCPU_DS_LIMIT, VCPU_FS_LIMIT, VCPU_GS_LIMIT,
	VCPU_ES_ATTRIBUTES, VCPU_CS_ATTRIBUTES, VCPU_SS_ATTRIBUTES, VCPU_DS_ATTRIBUTES, VCPU_FS_ATTRIBUTES,
	VCPU_GS_ATTRIBUTES, VCPU_LDTR_ATTRIBUTES, VCPU_TR_ATTRIBUTES,
	VCPU_R16 = 0xa0, VCPU_R31 = 0xaf
};
VCPU_API int vcpu_register_by_name(const char *name); /* -1: no such register, or NULL */
VCPU_API const char *vcpu_register_name(int reg);     /* NULL: no such number */
VCPU_API size_t vcpu_register_size(int reg);          /* bytes of its value, at most 64; 0: no such number */
/* The number behind REG of all that there are, -1: of the first. Returns -1 at the end. Some are parts of others, and
 * some no processor of the model has. */
VCPU_API int vcpu_register_next(int reg);
/* The whole value of a register: vcpu_register_size bytes, the lowest first. Return 0, or -1 with vcpu_error as
 * vcpu_get and vcpu_set; also if the processor has no such register ("zmm0" without AVX-512). Setting XMMn leaves the
 * upper bits of YMMn; setting ST(n) marks it as not empty. */
VCPU_API int vcpu_get_register(const vcpu *v, int reg, void *value);
VCPU_API int vcpu_set_register(vcpu *v, int reg, const void *value);
VCPU_API uint64_t vcpu_get(const vcpu *v, int reg);   /* 0: no such number */
/* Returns 0, or -1 with vcpu_error: the register does not exist, cannot hold VALUE, or cannot be set in this
 * callback. A write of a selector sets base and limit in real and virtual-8086 mode; in protected mode it loads the
 * descriptor. */
VCPU_API int vcpu_set(vcpu *v, int reg, uint64_t value);
/* COUNT registers of REGS at once. Return 0, or -1 with vcpu_error: one of them does not exist, or cannot be set; those
 * before it have been set. */
VCPU_API int vcpu_get_registers(const vcpu *v, const int *regs, uint64_t *values, unsigned count);
VCPU_API int vcpu_set_registers(vcpu *v, const int *regs, const uint64_t *values, unsigned count);
/* The segment register REG (VCPU_ES to VCPU_TR) with its hidden part. Setting it loads no descriptor and checks nothing
 * but the ranges; with SS the CPL becomes the DPL of SS. The attributes are as VMX has access rights: bits 3-0 type,
 * 4 S, 6-5 DPL, 7 P, 12 AVL, 13 L, 14 D/B, 15 G, 16 unusable. The limit is in bytes: with G its bits 11-0 are set.
 * Return 0, or -1 with vcpu_error; in callbacks as vcpu_set. */
struct vcpu_segment { uint64_t base; uint32_t limit, attributes; uint16_t selector; };
VCPU_API int vcpu_get_segment(const vcpu *v, int reg, struct vcpu_segment *out);
VCPU_API int vcpu_set_segment(vcpu *v, int reg, const struct vcpu_segment *segment);
/* The MSR with number INDEX, as RDMSR and WRMSR access it. Return 0, or -1 with vcpu_error: the processor has no such
 * MSR, or it cannot hold VALUE; in callbacks as vcpu_set. */
VCPU_API int vcpu_get_msr(vcpu *v, uint32_t index, uint64_t *value);
VCPU_API int vcpu_set_msr(vcpu *v, uint32_t index, uint64_t value);
/* The number of the Nth MSR, from 0 on, that the processor has and RDMSR can read (some in certain modes only: those of
 * x2APIC). False: it has no more. */
VCPU_API bool vcpu_msr_number(const vcpu *v, unsigned n, uint32_t *index);
/* Return 0, or -1: there is no register N. */
VCPU_API int vcpu_get_vector(const vcpu *v, unsigned n, void *xmm16);      /* XMM n, 16 bytes */
VCPU_API int vcpu_set_vector(vcpu *v, unsigned n, const void *xmm16);
VCPU_API int vcpu_get_st(const vcpu *v, unsigned n, void *st10);           /* ST(n), 10 bytes */
VCPU_API int vcpu_set_st(vcpu *v, unsigned n, const void *st10);

/* With several processors, registers and linear addresses are those of the selected processor [0]. vcpu_select
 * returns 0, or -1 with vcpu_error if there is no processor N. It does not change the state of the guest. */
VCPU_API unsigned vcpu_processors(const vcpu *v);
VCPU_API int vcpu_select(vcpu *v, unsigned n);
VCPU_API unsigned vcpu_selected(const vcpu *v);
/* The number of the processor that executes, or that executed last. */
VCPU_API unsigned vcpu_running(const vcpu *v);

VCPU_API unsigned vcpu_widest_mode(const vcpu *v); /* bits of the widest mode of its processor: 16, 32 or 64 */
/* Bits of the kernel: 32 or 64, by the class of an ELF file; 64 for a Linux bzImage with a 64-bit entry. 0: there is
 * no kernel, or its file does not tell. */
VCPU_API unsigned vcpu_kernel_bits(const vcpu *v);

/* Set the mode of a bare processor: flat CS, SS, DS and ES at CPL 0, and matching CR0, CR4 and EFER. Paging stays off
 * with 16 and 32 bits. With 64 bits the processor has an identity map without page tables in guest memory, for the
 * physical addresses of the model: those below 2^40 with `max', less the last pages, in which the map lies. For other
 * linear addresses, as a Linux process has, write page tables to memory and set VCPU_CR3. x87, MMX and SSE can be used;
 * for AVX set bit 18 of VCPU_CR4, then VCPU_XCR0 to 7. There is no IDT: an exception stops the run. */
VCPU_API int vcpu_set_mode(vcpu *v, unsigned bits); /* 16, 32 or 64; -1 otherwise or if the model lacks it */

/* Access memory by physical address, or by linear address through the current page tables. There are no side
 * effects: devices are not accessed. Return the number of bytes before the first address without RAM or without a
 * translation. */
VCPU_API size_t vcpu_read_physical(const vcpu *v, uint64_t address, void *out, size_t len);
VCPU_API size_t vcpu_write_physical(vcpu *v, uint64_t address, const void *in, size_t len);
VCPU_API size_t vcpu_read_linear(const vcpu *v, uint64_t address, void *out, size_t len);
VCPU_API size_t vcpu_write_linear(vcpu *v, uint64_t address, const void *in, size_t len);
/* The physical address of a linear one, by the current page tables. Returns 0, or -1 with vcpu_error: there is none. */
VCPU_API int vcpu_translate(const vcpu *v, uint64_t linear, uint64_t *physical);
/* The host's memory for the RAM at PHYSICAL, of which *LEN bytes (LEN may be NULL) lie together; NULL with vcpu_error:
 * there is no RAM. It is valid until the memory map changes. After the caller has written to it, and before the machine
 * goes on, vcpu_host_written must be called for these bytes (0, or -1 with vcpu_error): the machine knows then that
 * code and pages have changed. */
VCPU_API void *vcpu_host(vcpu *v, uint64_t physical, uint64_t *len);
VCPU_API int vcpu_host_written(vcpu *v, uint64_t physical, uint64_t len);

/* The memory of a bare machine. Addresses and lengths are physical and multiples of 4096; a length is at most 1 TiB.
 * All functions return 0, or -1 with vcpu_error, and are allowed in callbacks.
 *
 * vcpu_map maps zeroed memory with all rights. vcpu_map_buffer maps LEN bytes at BUFFER, which the caller keeps until
 * they are unmapped or the machine is free (in a callback, until the instruction is over); for what the caller writes
 * there vcpu_host_written must be called. NULL: zeroed memory. Both fail if something is mapped there.
 *
 * RIGHTS are what the processor may do: VCPU_READ, VCPU_WRITE and VCPU_EXECUTE, or-ed. Other accesses are as if no
 * memory was there: hooks of VCPU_HOOK_MISSING_* are called with `denied', or the run stops with VCPU_STOP_MISSING. The
 * caller, devices and page walks need no rights. Rights are no part of the state: saved states do not have them.
 *
 * vcpu_unmap and vcpu_protect need memory in the whole range, of one call of vcpu_map or of several; they fail while
 * the machine is recorded or debugged, vcpu_unmap also while it has snapshots.
 *
 * A call of vcpu_map takes more time the more ranges there are. For memory that comes page by page, map a large range
 * without rights, which costs the host nothing, and give rights with vcpu_protect. */
enum { VCPU_READ = 1, VCPU_WRITE = 2, VCPU_EXECUTE = 4, VCPU_RIGHTS = 7 };
VCPU_API int vcpu_map(vcpu *v, uint64_t address, uint64_t len);
VCPU_API int vcpu_map_buffer(vcpu *v, uint64_t address, uint64_t len, unsigned rights, void *buffer);
VCPU_API int vcpu_unmap(vcpu *v, uint64_t address, uint64_t len);
VCPU_API int vcpu_protect(vcpu *v, uint64_t address, uint64_t len, unsigned rights);
/* vcpu_dirty_mark makes a mark. vcpu_dirty_pages gives the physical addresses of the pages of RAM that were written
 * since (by processors, devices, the caller; also those that a snapshot or a state has put back), in ascending order:
 * at most MAX of them to PAGES, which may be NULL. It returns their number. Without a mark: all that were ever written.
 * RAM that appears at several addresses is counted at each. Allowed in callbacks, for all machines. */
VCPU_API int vcpu_dirty_mark(vcpu *v);
VCPU_API uint64_t vcpu_dirty_pages(const vcpu *v, uint64_t *pages, uint64_t max);
/* Let the guest page in LEN bytes at linear ADDRESS, e.g. what a snapshot lacks. If a page of them has no translation,
 * the processor is given a #PF for the first of these before its next instruction, as if that had read or (WRITE)
 * written there with the current CPL, and the guest's handler returns to that instruction. Returns 1: it will, 0: all
 * pages have translations, -1 with vcpu_error: no paging, the processor does not run, or the machine is recorded or
 * debugged. Call it again at the same instruction until it returns 0, e.g. in a hook of that instruction. vcpu_load and
 * vcpu_snapshot_restore forget it. */
VCPU_API int vcpu_page_in(vcpu *v, uint64_t address, uint64_t len, bool write);
/* Map a device of the caller over the present map. Offsets are from BASE; SIZE is 1, 2, 4 or 8. NAME has 1 to
 * VCPU_DEVICE_NAME bytes and is unique. The library copies NAME and *DEVICE. Returns 0, or -1 with vcpu_error, and
 * nothing is mapped: an invalid argument, or the machine is being recorded. Zero in a member means the default in
 * brackets.
 *
 * Saved states, snapshots, recordings and debuggers save and restore the state of a device. A device without save
 * and restore that is not `stateless' limits its machine: vcpu_save, vcpu_load, vcpu_record and
 * vcpu_snapshot_restore fail with vcpu_error, and a debugger does not go back. A device that is mapped in several
 * places gives its state in one of them and is stateless in the others. A debugger executes the same part of a run
 * many times, and calls the callbacks each time. */
#define VCPU_DEVICE_NAME 48
#define VCPU_DEVICE_STATE (16u << 20)
struct vcpu_device {
	size_t size;       /* sizeof(struct vcpu_device), as struct vcpu_config has its size [that of the library] */
	uint64_t (*read)(void *user, uint64_t offset, unsigned size);               /* [all ones are read] */
	void (*write)(void *user, uint64_t offset, unsigned size, uint64_t value); /* [writes vanish] */
	void *user;
	bool stateless;    /* the device has no state that the guest can observe [it may have] */
	size_t state_size; /* bytes of its state, constant, at most VCPU_DEVICE_STATE; 0 without save and restore */
	/* Write the state to STATE: the same bytes for the same state. vcpu_state_hash covers them. */
	void (*save)(void *user, void *state);
	/* Restore the state from STATE. The bytes are from save, in this or another process, or from a damaged file.
	 * False: the bytes are no valid state; the device has not changed, and the load or restore fails. save and
	 * restore must not access the machine. */
	bool (*restore)(void *user, const void *state);
};
VCPU_API int vcpu_map_device(vcpu *v, const char *name, uint64_t base, uint64_t size, const struct vcpu_device *device);
VCPU_API int vcpu_map_ports(vcpu *v, const char *name, uint16_t base, unsigned count, const struct vcpu_device *device);

/* The hash of the whole state: everything that a guest can ever observe, and the instruction count. */
VCPU_API uint64_t vcpu_state_hash(const vcpu *v);
/* Save the state to a malloc'd buffer, which the caller frees. Load it into a machine of the same configuration.
 * vcpu_load returns false, with one line in *ERROR and the machine unchanged, if the data is damaged, or of another
 * version or configuration. It never unpacks more than the memory of the machine and the blocks of its snapshot
 * disks. */
VCPU_API bool vcpu_save(const vcpu *v, void **data, size_t *len, char **error);
VCPU_API bool vcpu_load(vcpu *v, const void *data, size_t len, char **error);
/* Call EACH for every part of the state with its hash, to find the parts in which two states differ. */
VCPU_API void vcpu_state_parts(const vcpu *v, void (*each)(void *user, const char *part, uint64_t hash), void *user);

/* Read the picture on the display, without a change of the state. False: there is no display, or its picture is off.
 * PIXELS receives width * height numbers 00RRGGBBh, row by row; nothing is written if COUNT is less. PIXELS may be
 * NULL for the sizes alone. */
struct vcpu_screen {
	unsigned width, height;             /* dots, as a monitor shows them: 640 x 400 of a mode of 320 x 200 */
	unsigned columns, rows;             /* of a text mode; else 0 */
	bool cursor;                        /* a text mode's cursor is on and within the picture, at the following
	                                       place */
	unsigned cursor_column, cursor_row;
};
VCPU_API bool vcpu_screen(const vcpu *v, struct vcpu_screen *screen, uint32_t *pixels, size_t count);
/* Read the characters of a text mode: rows in UTF-8, without trailing blanks, each with a newline. Returns the
 * length of the whole text without the final 0; 0 if there is no text mode. At most SIZE bytes are written, with a
 * final 0. 16 KiB hold any usual screen. */
VCPU_API size_t vcpu_screen_text(const vcpu *v, char *text, size_t size);
/* Type TEXT on a US keyboard, through vcpu_input. Characters beyond ASCII are left out. Returns the number of bytes
 * that were typed: fewer than the length of TEXT if the queue of the keyboard is full. */
VCPU_API size_t vcpu_type_text(vcpu *v, const char *text);
/* Insert the next medium into the first drive that has several, through vcpu_input. After the last one the drive is
 * empty; the first one follows. Returns its number as in struct vcpu_medium, or -1 with vcpu_error. */
VCPU_API int vcpu_next_medium(vcpu *v);

/* The version of the library, and its processor models. */
VCPU_API const char *vcpu_version(void);
VCPU_API const char *const *vcpu_models(void); /* names, NULL at the end */
/* The instruction table, row by row; false when ROW is past the end. A column that is empty for the row is "". */
struct vcpu_insn {
	const char *mnemonic, *encoding, *operands, *since, *modes;
	const char *popek;          /* "innocuous", "privileged", "control", "behaviour" */
	const char *vmexit;
	char check[96];             /* "CPL0 UMIP" */
	char flags_written[48], flags_read[48], flags_undefined[48]; /* "OSZAPC" as letters, the others as words: "OC
	                                                                D", "I IOPL" */
	char reads[96], writes[96]; /* system resources: "CR0 IF" */
	bool lock, rep;
	const char *since_256;      /* the feature of the 256-bit form, if it is not `since'; "": the same */
};
VCPU_API bool vcpu_isa_row(unsigned row, struct vcpu_insn *out);
/* Popek and Goldberg's theorem 1: get the rows that access system resources without a trap, if a monitor executes its
 * guest directly on processor CPU (as in the configuration). Returns the number of rows, and the first MAX of them in
 * ROWS (NULL if MAX is 0), in order; -1: there is no such processor. */
enum vcpu_monitor {
	VCPU_MONITOR_CPL3,      /* the whole guest runs at CPL 3 */
	VCPU_MONITOR_UMIP,      /* and CR4.UMIP is set */
	VCPU_MONITOR_VTX,       /* in VMX non-root operation */
	VCPU_MONITOR_SVM,       /* in SVM guest mode */
	VCPU_MONITOR_RING1,     /* its CPL 0 is CPL 1, with IOPL 0 */
	VCPU_MONITOR_RING1_IOPL, /* the same with IOPL 1 */
	VCPU_MONITORS           /* their number */
};
VCPU_API int vcpu_isa_theorem(const char *cpu, enum vcpu_monitor monitor, unsigned *rows, unsigned max);
/* The class of row ROW on processor CPU below that monitor: "innocuous", "privileged", "control" or "behaviour". If
 * USER is set, of its execution at CPL 3 alone: theorem 3 says that a hybrid monitor, which interprets the guest at
 * other levels, can be built if no row is "control" or "behaviour". "": the processor does not have the row. NULL:
 * there is no such processor, monitor or row. */
VCPU_API const char *vcpu_isa_class(const char *cpu, enum vcpu_monitor monitor, bool user, unsigned row);

#ifdef __cplusplus
}
#endif
#endif
