/* SPDX-License-Identifier: MIT */
/* A kernel of three processes, each with page tables of its own, a timer that preempts them, three system calls and
 * a disk. It prints the sums with which the processes exit, writes the total to the last sector, and switches off.
 * It asks its processor what kernels ask (where are my tables, are interrupts on), and prints the answers: a
 * monitor that virtualises an instruction wrongly shows in the output. How often the timer ticks does not show.
 *
 * Try: another number of ROUNDS in user.S; a fourth process. */
#include "kernel.h"

#ifdef HOSTILE
enum { PROCESSES = 4 };
#else
enum { PROCESSES = 3 };
#endif
enum { LAST_SECTOR = 15, USER = 0x40000000, FREE = 0x200000, INTERRUPTS = 0x200 };
enum { PRESENT = 1, WRITABLE = 2, USERS = 4 };
enum { EXIT, READ, SLEEP };

uint32_t kernel_directory[1024] __attribute__((aligned(PAGE)));
extern const char user_program[], user_program_end[];

static struct process {
	enum { READY, SLEEPING, DONE } state;
	uint32_t directory, stack_top, result;
	struct frame *frame;
} processes[PROCESSES], *running;
static unsigned ticks, preemptions, warnings;
static uint32_t free_page = FREE;

/* ---- output ---- */

void print(const char *text)
{
	uint32_t flags = interrupts_save();

	while (*text)
		console_write(*text++);
	interrupts_restore(flags);
}

void print_hex(uint32_t value)
{
	char text[9];

	for (int i = 7; i >= 0; i--, value >>= 4)
		text[i] = "0123456789abcdef"[value & 15];
	text[8] = 0;
	print(text);
}

static void print_item(const char *name, uint32_t value)
{
	print(name);
	print_hex(value);
}

void panic(const char *why, uint32_t value)
{
	print_item(why, value);
	print("\n");
	power_off();
}

static void print_view(void)
{
	struct view v = processor_view();

	print_item("cs ", v.cs);
	print_item(" ss ", v.ss);
	print_item(" task ", v.task);
	print_item(" ldt ", v.ldt);
	print_item("\nstatus ", v.status);
	print(v.gdt_is_ours ? " gdt ours" : " gdt elsewhere");
	print_item(" limit ", v.gdt_limit);
	print(v.idt_is_ours ? " idt ours" : " idt elsewhere");
	print_item(" limit ", v.idt_limit);
	print_item("\nuser data: access ", v.access);
	print_item(" limit ", v.limit);
	print(v.readable ? " readable" : " not readable");
	print(v.writable ? " writable\n" : " not writable\n");
}

/* ---- memory: the lowest 4 MiB at their own addresses for the kernel, 40000000h for the process ---- */

static uint32_t new_page(void)
{
	uint32_t page = free_page;

	free_page += PAGE;
	__builtin_memset((void *)page, 0, PAGE);
	return page;
}

void map_page(uint32_t *directory, uint32_t linear, uint32_t physical, uint32_t flags)
{
	uint32_t *entry = &directory[linear >> 22];

	if (!*entry)
		*entry = new_page() | PRESENT | WRITABLE | USERS;
	((uint32_t *)(*entry & -PAGE))[linear >> 12 & 1023] = physical | flags | PRESENT;
	invalidate_page(linear);
}

static void make_process(unsigned number)
{
	struct process *p = &processes[number];
	uint32_t *directory = (uint32_t *)new_page(), code = new_page(), stack = new_page(), data = new_page();

	directory[0] = kernel_directory[0];
	__builtin_memcpy((void *)code, user_program, (size_t)(user_program_end - user_program));
	map_page(directory, USER, code, USERS);
	map_page(directory, USER + PAGE, data, USERS | WRITABLE);
	p->directory = (uint32_t)directory;
	p->stack_top = stack + PAGE;
	p->frame = (struct frame *)p->stack_top - 1;
	*p->frame = (struct frame){ .es = user_data, .ds = user_data, .ebx = number, .eip = USER, .cs = user_code,
				    .eflags = INTERRUPTS | 2, .esp = USER + 2 * PAGE, .ss = user_data };
}

/* ---- processes ---- */

static void finish(void)
{
	uint32_t sector[SECTOR / 4] = { 0 }, total = 0;

	for (unsigned i = 0; i < PROCESSES; i++) {
		print_item("process ", i);
		print_item(" exits with ", processes[i].result);
		print("\n");
		total += processes[i].result;
	}
	sector[0] = total;
	if (disk_transfer(LAST_SECTOR, sector, 1) < 0 || disk_transfer(LAST_SECTOR, sector, 0) < 0)
		panic("disk: sector ", LAST_SECTOR);
	print_item("total ", sector[0]);
	print(ticks > 3 ? "\nthe timer ticks" : "\nthe timer does not tick");
	print(preemptions ? " and preempts" : " and does not preempt");
	panic("\nwarnings ", warnings);
}

/* The next process that can run; wait for the timer if all of them sleep. */
static struct frame *schedule(void)
{
	for (;;) {
		unsigned done = 0;

		for (unsigned i = 1; i <= PROCESSES; i++) {
			struct process *p = &processes[((unsigned)(running - processes) + i) % PROCESSES];

			if (p->state == READY) {
				running = p;
				set_kernel_stack(p->stack_top);
				set_page_directory(p->directory);
				return p->frame;
			}
			done += p->state == DONE;
		}
		if (done == PROCESSES)
			finish();
		interrupts_wait();
	}
}

static void timer(void)
{
	timer_acknowledge();
	ticks++;
	for (unsigned i = 0; i < PROCESSES; i++)
		if (processes[i].state == SLEEPING)
			processes[i].state = READY;
}

/* A system call reads into the process's buffer, with interrupts off around the disk's registers. */
static uint32_t read_sector(uint32_t sector, uint32_t buffer)
{
	uint32_t flags, result;

	if (buffer < USER || buffer > USER + 2 * PAGE - SECTOR)
		return (uint32_t)-1;
	flags = interrupts_save();
	if (flags_now() & INTERRUPTS)
		warnings++;
	result = (uint32_t)disk_transfer(sector, (void *)buffer, 0);
	interrupts_restore(flags);
	return result;
}

static void end_process(uint32_t result)
{
	running->state = DONE;
	running->result = result;
}

struct frame *trap(struct frame *f)
{
	int from_user = f->cs & 3;

	if (flags_now() & INTERRUPTS) /* the gates are interrupt gates */
		warnings++;
	if (f->vector == TIMER_VECTOR) {
		timer();
		if (!from_user)
			return f;
		preemptions++;
	} else if (!from_user) {
		panic("trap in the kernel: ", f->vector << 24 | (f->eip & 0xffffff));
	} else if (f->vector != 0x80) {
		end_process(0xdead0000 | f->vector);
	} else if (f->eax == READ) {
		f->eax = read_sector(f->ebx, f->ecx);
		return f;
	} else if (f->eax == SLEEP) {
		running->state = SLEEPING;
	} else {
		end_process(f->ebx);
	}
	running->frame = f;
	return schedule();
}

void kernel_main(void)
{
	uint32_t *table = (uint32_t *)new_page();

	processor_start();
	for (uint32_t i = 0; i < 1024; i++)
		table[i] = i * PAGE | PRESENT | WRITABLE;
	kernel_directory[0] = (uint32_t)table | PRESENT | WRITABLE;
	enable_paging((uint32_t)kernel_directory);
	print_view();
#ifdef HOSTILE
	attack();
#endif
	for (unsigned i = 0; i < PROCESSES; i++)
		make_process(i);
	timer_start();
	running = &processes[PROCESSES - 1];
	start_process(schedule());
}
