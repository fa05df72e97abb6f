/* SPDX-License-Identifier: MIT */
/* What the monitors share. A monitor is a multiboot kernel of 32 bits, and its guest is its module: another multiboot
 * kernel. The guest's physical memory is 4 MiB at 8 MiB; its disk is 16 sectors of the disk, from sector 24. */
#ifndef MONITOR_H
#define MONITOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

enum { PAGE = 4096, GUEST_RAM = 4 << 20, GUEST_BASE = 8 << 20, GUEST_SECTORS = 16, FIRST_SECTOR = 24 };
/* The monitor's linear addresses: the guest's memory, then the lowest 4 MiB, where the monitor is (boot.S). */
#define TOP 0xff800000u
#define GUEST_WINDOW ((u8 *)TOP)
#define MONITOR_BASE 0xffc00000u
#define PHYSICAL(p) ((u32)(p) - MONITOR_BASE)

/* ---- the virtual processor: what the guest's processor would hold ---- */

enum { EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI };
enum { ES, CS, SS, DS, FS, GS, SEGMENTS };
enum { FLAG_C = 1, FLAG_Z = 0x40, FLAG_IF = 0x200, FLAG_D = 0x400, FLAGS_IOPL = 0x3000, FLAG_NT = 0x4000 };
enum { FLAGS_ARITHMETIC = 0x8d5, FLAGS_NATIVE = 0x244cd5 }; /* those that POPF loads at CPL 3 */
#define CR0_PG 0x80000000u
#define CR0_WP 0x10000u

struct segment { u32 selector, base, limit, access; }; /* access: bits 40 to 55 of the descriptor, without the limit */
struct table { u32 base, limit; };
extern struct processor {
	u32 r[8], eip, eflags, cr0, cr2, cr3, cr4;
	struct segment seg[SEGMENTS], ldtr, tr;
	struct table gdtr, idtr;
	bool halted, inhibit; /* inhibit: no interrupt before the next instruction (STI, MOV SS) */
	bool new_gdt;         /* LGDT has been */
} cpu;
static inline u32 cpl(void) { return cpu.seg[CS].selector & 3u; }

/* main of a monitor */
void monitor_main(void) __attribute__((noreturn));

/* boot.c: the guest into its memory and the processor to its entry. */
void boot_guest(void);

/* memory.c: the guest's memory. A fault of the guest does not return: see fault(). */
enum { ACCESS_WRITE = 2, ACCESS_USER = 4 };
struct page { u32 physical; bool writable, user; };
bool walk(u32 linear, u32 access, struct page *page, u32 *error); /* the guest's page tables */
u8 *host_address(u32 linear, u32 access);            /* in the window; NULL: nowhere. Up to the end of the page */
u32 load(u32 linear, unsigned size, u32 access);
void store(u32 linear, unsigned size, u32 value, u32 access);

/* segments.c: descriptors, far transfers, exceptions. */
void load_segment(unsigned which, u16 selector);     /* with the checks of MOV */
struct segment describe(u16 selector);               /* from the guest's GDT */
void push(u32 value);
u32 pop(void);
void far_jump(u16 selector, u32 eip);                /* to the same level */
void far_return(unsigned release);
void interrupt_return(void);
void deliver(unsigned vector, bool software, bool has_error, u32 error);
void exception(unsigned vector, u32 error);          /* deliver, or end the guest */

/* decode.c */
struct insn {
	u16 op;                   /* 100h: behind 0Fh */
	u8 length, size, rep, segment, mod, reg, rm; /* size: 2 or 4; segment: SEGMENTS if there is no prefix */
	bool memory;
	int base, index;          /* registers, or -1 */
	unsigned scale;
	u32 displacement, immediate;
	u16 selector;
};
bool decode(const u8 *bytes, unsigned available, struct insn *insn); /* false: unknown, or too few bytes */
const char *insn_name(const struct insn *insn);                      /* for statistics */
bool fetch(struct insn *insn);                       /* the guest's next instruction; false: unknown */

/* interpret.c */
void interpret(void);                                /* an instruction; and those that STI and MOV SS tie to it */
void attempt(void (*work)(void));                    /* if it has a fault, deliver that, with the registers of before */
void fault(unsigned vector, u32 error) __attribute__((noreturn)); /* of the instruction: restart it at the handler */

/* devices.c: what is behind the guest's ports. */
u32 port_read(u16 port, unsigned size);
void port_write(u16 port, unsigned size, u32 value);
void interrupt_line(unsigned line);                  /* of the machine: acknowledge it, raise the guest's */
int interrupt_pending(void);                         /* its vector, or -1 */
int interrupt_accept(void);
void console(char c);
bool disk_sector(u32 sector, void *data, bool write); /* false: the guest has no such sector */
void timer_program(u8 mode, u16 divisor);

/* shadow.c: shadow page tables, filled as the guest touches pages. */
enum shadow { SHADOW_FILLED, SHADOW_FAULT, SHADOW_HOLE };
void shadow_init(bool with_monitor, bool flatten);   /* flatten: the guest's supervisor runs at CPL 3 */
u32 shadow_directory(void);                          /* its physical address, for the guest's mode */
void shadow_flush(void);                             /* as a write of CR3 does with a TLB */
void shadow_invalidate(u32 linear);                  /* as INVLPG does */
enum shadow shadow_fault(u32 linear, u32 access, u32 *error);

/* deprivileged.c: the guest on the machine's own processor, at CPL 1 or 3. */
struct frame {
	u32 gs, fs, es, ds, edi, esi, ebp, unused, ebx, edx, ecx, eax, vector, error, eip, cs, eflags, esp, ss;
};
extern struct frame frame;
void deprivileged_init(unsigned ring);               /* the CPL of the guest's supervisor */
unsigned run_direct(void);                           /* until a trap: its vector */
unsigned run_translated(u32 at);                     /* the same, in the translator's cache: see translate.c */
void handle_trap(unsigned vector);                   /* as trap and emulate does */
/* A page that the shadow tables lack (true), the guest's own fault, or no page at all. */
bool handle_page_fault(void);

/* interrupts.c */
void settle(void);                                   /* give the guest its interrupts; wait while it sleeps */
void wait_for_interrupt(void);

/* report.c */
void say(const char *text);
void say_number(u32 value);
void say_hex(u32 value);
void count(const char *what);                        /* a constant string; '+': it is no trap */
void add(const char *what, u32 n);
extern void (*before_report)(void);                  /* or NULL */
void finish(void) __attribute__((noreturn));         /* print the counters, switch off */
void die(const char *why) __attribute__((noreturn)); /* the same, with a line of text */

/* boot.S */
extern u64 gdt[64];
extern u32 page_directory[1024];
enum { MONITOR_CODE = 0x100, MONITOR_DATA = 0x108, MONITOR_TASK = 0x110, CACHE_CODE = 0x119, CACHE_DATA = 0x121,
       GUEST_DESCRIPTORS = 32 };
extern struct task { u32 link, esp0, ss0, rest[22]; u16 trace, ports; } task;
extern u32 multiboot_info;
unsigned enter_guest(void);

/* ---- the machine's processor ---- */

static inline void out8(u16 port, u8 value) { __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port)); }
static inline u8 in8(u16 port)
{
	u8 value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}
static inline void set_cr3(u32 value) { __asm__ volatile("mov %0, %%cr3" : : "r"(value) : "memory"); }
static inline u32 get_cr2(void)
{
	u32 value;

	__asm__ volatile("mov %%cr2, %0" : "=r"(value));
	return value;
}

#endif
