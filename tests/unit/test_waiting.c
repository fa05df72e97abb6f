/* SPDX-License-Identifier: MIT */
/* Waiting loops (cpu/engine/wait.h): whoever skips rounds has the state, at every count of instructions, of whoever
 * executes them; what waits is hardly executed; what does not wait is. */
#include "cpu/observe.h"
#include "io/timer/pit.h"
#include "io/timer/rtc.h"
#include "tests/unit/modes.h"

enum { PERIOD = 700000 /* instructions between two events, of 1 ns each */, TOTAL = 3000000, CUTS = 100, VECTOR = 0x20,
	OTHER_CODE = CODE + 0x100 };
#define BEYOND_1_GIB ((u64)1 << 30)

static struct event timer;
static struct cpu *other;
static struct pit *pit;
static struct rtc *rtc;
static void (*event_does)(void);

static void tick(void *owner, u64 late)
{
	(void)owner;
	(void)late;
	event_does();
	clock_arm(&clk, &timer, clk.now + PERIOD);
}

static void count_in_memory(void) { space_write(&mem, DATA, 2, space_read(&mem, DATA, 2) + 1); }
static void interrupt_it(void) { cpu_intr(c, 0, true); }
static void nothing(void) { }

static u8 acknowledge(void *owner)
{
	(void)owner;
	cpu_intr(c, 0, false);
	return VECTOR;
}

static u64 read_device(void *owner, u64 offset, unsigned size)
{
	(void)owner;
	(void)offset;
	(void)size;
	return 0;
}

/* Its answer changes every 6000 and 25000 ns, which it says if OWNER is not NULL; and what it says of the second byte
 * is nothing. */
static u64 read_raster(void *owner, u64 offset, unsigned size)
{
	u64 at = clk.now % 31000, line = clk.now - at;

	(void)size;
	if (offset)
		return clk.now >> 10 & 0xff;
	if (owner)
		clock_steady(&clk, line + (at < 25000 ? 25000 : 31000));
	return (at >= 25000) | (clk.now / 31000 % 8 == 0) << 3;
}

static void write_raster(void *owner, u64 offset, unsigned size, u64 value)
{
	(void)owner;
	(void)offset;
	(void)size;
	(void)value;
}

static void begin(enum mode m, void (*what_event_does)(void))
{
	static const struct device_ops ops = { .read = read_device }, raster_ops = { read_raster, write_raster, 1, 1 };

	modes_setup();
	space_add_device(&mem, "device", 0x20000, PAGE_SIZE, &ops, NULL);
	space_add_device(&io, "raster", 0x3da, 2, &raster_ops, &clk);
	space_add_device(&io, "silent raster", 0x3ba, 2, &raster_ops, NULL);
	c->acknowledge = acknowledge;
	memset(&timer, 0, sizeof timer);
	clock_add(&clk, &timer, "timer", tick, NULL);
	clock_arm(&clk, &timer, PERIOD);
	event_does = what_event_does;
	enter(m, 0);
	c->r[RBX] = DATA;
}

static void end(void)
{
	if (other)
		cpu_free(other);
	pit_free(pit);
	rtc_free(rtc);
	other = NULL;
	pit = NULL;
	rtc = NULL;
	bare_free();
}

/* ---- programs ---- */

static void wait_for_tick(void)
{
	begin(REAL, count_in_memory);
	POKE(CODE, 0xa1, 0x00, 0x50, /* mov ax, [5000h] */ 0x39, 0xd8, /* cmp ax, bx */ 0x74, 0xf9, /* je -7 */ 0x89,
		0xc3, /* mov bx, ax */
	     0x41, /* inc cx */ 0xeb, 0xf4 /* jmp -12 */);
}

static const u8 wait_at_bx[] = { 0x8b, 0x03, /* mov eax, [ebx] */ 0x39, 0xc8, /* cmp eax, ecx */ 0x74,
	0xfa, /* je -6 */ 0x89, 0xc1, /* mov ecx, eax */
	0xff, 0xc2, /* inc edx */ 0xeb, 0xf4 /* jmp -12 */ };

static void wait_in_32_bits(void)
{
	begin(P32, count_in_memory);
	poke(CODE, wait_at_bx, sizeof wait_at_bx);
}

static void wait_in_64_bits(void)
{
	begin(LONG, count_in_memory);
	poke(CODE, wait_at_bx, sizeof wait_at_bx);
	c->r[RBX] += BEYOND_1_GIB;
	poke64(PML4 + 0x1008, 0xe7);
}

static void wait_for_handler(void)
{
	begin(REAL, interrupt_it);
	with_idt();
	c->eflags |= FL_I;
	POKE(CODE, 0xf3, 0x90, /* pause */ 0xf6, 0x06, 0x00, 0x50, 0x01, /* test byte [5000h], 1 */ 0x74,
		0xf7, /* je -9 */
	     0x80, 0x36, 0x00, 0x50, 0x01, /* xor byte [5000h], 1 */ 0x41, /* inc cx */ 0xeb, 0xef /* jmp -17 */);
	POKE(handler_of(VECTOR), 0x80, 0x36, 0x00, 0x50, 0x01, /* xor byte [5000h], 1 */ 0xcf /* iret */);
}

static void jump_to_itself(void)
{
	begin(REAL, interrupt_it);
	with_idt();
	c->eflags |= FL_I;
	POKE(CODE, 0xeb, 0xfe);
	POKE(handler_of(VECTOR), 0x41, /* inc cx */ 0xcf /* iret */);
}

/* Another processor counts, and then stores FREE into a byte of memory, again and again. */
static void with_other(u8 free)
{
	struct cpu_config config = { .model = &model, .mem = &mem, .io = &io, .clock = &clk, .bare = true };

	begin(REAL, nothing);
	POKE(OTHER_CODE, 0xb9, 0x00, 0x00, /* mov cx, 0 */ 0xe2, 0xfe, /* loop -2 */ 0xc6, 0x06, 0x00, 0x50,
		free, /* mov byte [5000h], free */
	     0xeb, 0xf4 /* jmp -12 */);
	config.with = c;
	other = cpu_new(&config);
	ck_assert_ptr_nonnull(other);
	for (unsigned i = ES; i <= GS; i++) {
		seg_load_real(other, i, 0);
		seg_update(other, i);
	}
	other->activity = ACTIVITY_RUN;
	other->r[RIP] = OTHER_CODE;
	update_mode(other);
}

static void spin(void)
{
	with_other(1);
	POKE(CODE, 0x80, 0x3e, 0x00, 0x50, 0x00, /* cmp byte [5000h], 0 */ 0x74, 0xf9, /* je -7 */ 0xc6, 0x06, 0x00,
		0x50, 0x00, /* mov byte [5000h], 0 */
	     0x41, /* inc cx */ 0xeb, 0xf1 /* jmp -15 */);
}

static void spin_by_exchange(void)
{
	with_other(0);
	POKE(CODE, 0xb0, 0x01, /* mov al, 1 */ 0x86, 0x06, 0x00, 0x50, /* xchg [5000h], al */ 0x84,
		0xc0, /* test al, al */ 0x75, 0xf6, /* jnz -10 */
	     0x41, /* inc cx */ 0xeb, 0xf3 /* jmp -13 */);
}

/* Edges of bit 3 of port DX, whose name is PORT. */
static void poll_port(unsigned port)
{
	begin(REAL, count_in_memory);
	c->r[RDX] = port;
	POKE(CODE, 0xec, /* in al, dx */ 0xa8, 0x08, /* test al, 8 */ 0x74, 0xfb, /* jz -5 */ 0xec, 0xa8, 0x08, 0x75,
		0xfb, /* jnz -5 */ 0x41, /* inc cx */
	     0xeb, 0xf3 /* jmp -13 */);
}
static void wait_for_raster(void) { poll_port(0x3da); }
static void poll_what_says_nothing(void) { poll_port(0x3ba); }

/* The BIOS is called: INT, stores to the stack, another segment, interrupts off and on. */
static void call_bios(void)
{
	begin(REAL, interrupt_it);
	with_idt();
	c->eflags |= FL_I;
	POKE(CODE, 0xb4, 0x01, /* mov ah, 1 */ 0xcd, 0x16, /* int 16h */ 0x74, 0xfa, /* jz -6 */
	     0x80, 0x36, 0x00, 0x50, 0x01, /* xor byte [5000h], 1 */ 0x41, /* inc cx */ 0xeb, 0xf2 /* jmp -14 */);
	POKE(handler_of(0x16), 0x1e, /* push ds */ 0x60, /* pusha */ 0xfb, /* sti */ 0x31, 0xc0, /* xor ax, ax */ 0x8e,
		0xd8, /* mov ds, ax */
	     0x8e, 0xd0, /* mov ss, ax */ 0xfa, /* cli */ 0xf6, 0x06, 0x00, 0x50, 0x01, /* test byte [5000h], 1 */
	     0x61, /* popa */ 0x1f, /* pop ds */ 0xfb, 0xca, 0x02, 0x00 /* retf 2 */);
	POKE(handler_of(VECTOR), 0x80, 0x36, 0x00, 0x50, 0x01, /* xor byte [5000h], 1 */ 0xcf /* iret */);
}

/* A function in 64-bit code, with a frame of its own. */
static void call_function(void)
{
	begin(LONG, count_in_memory);
	POKE(CODE, 0xe8, 0x0b, 0x00, 0x00, 0x00, /* call +11 */ 0x39, 0xc8, /* cmp eax, ecx */ 0x74, 0xf7, /* je -9 */
	     0x89, 0xc1, /* mov ecx, eax */ 0xff, 0xc2, /* inc edx */ 0xeb, 0xf1, /* jmp -15 */ 0x90,
	     0x55, /* push rbp */ 0x48, 0x89, 0xe5, /* mov rbp, rsp */ 0x53, /* push rbx */ 0x8b,
	     0x03, /* mov eax, [rbx] */
	     0x89, 0x45, 0xf0, /* mov [rbp-16], eax */ 0x5b, /* pop rbx */ 0x5d, /* pop rbp */ 0xc3);
}

/* The low bit of CR0 goes on and off, which makes the processor forget what it knows of pages. */
static void switch_mode(void)
{
	begin(REAL, count_in_memory);
	POKE(CODE, 0x0f, 0x20, 0xc0, /* mov eax, cr0 */ 0x0c, 0x01, /* or al, 1 */ 0x0f, 0x22, 0xc0, /* mov cr0, eax */
	     0x24, 0xfe, /* and al, FEh */ 0x0f, 0x22, 0xc0, 0xeb, 0xf1 /* jmp -15 */);
}

/* A page is accessed anew each time. */
static void clear_accessed(void)
{
	begin(LONG, count_in_memory);
	poke64(PML4 + 0x1008, 0xe7);
	POKE(CODE, 0x0f, 0x01, 0x3b, /* invlpg [rbx] */ 0x80, 0x26, 0xdf, /* and byte [rsi], DFh */ 0x8b,
		0x03, /* mov eax, [rbx] */
	     0xeb, 0xf6 /* jmp -10 */);
	c->r[RBX] = DATA + BEYOND_1_GIB;
	c->r[RSI] = PML4 + 0x1008;
}

/* Edges of BIT of what is read after OUT 70h, or at port 61h. The time is NS before a second is over. */
static void poll_timer(u64 ns, u8 index, u8 port, u8 bit)
{
	begin(REAL, count_in_memory);
	pit = pit_new(&io, &clk, (struct line){ 0 });
	rtc = rtc_new(&io, &clk, (struct line){ 0 }, (struct line){ 0 }, 0, MiB, MiB);
	ck_assert(pit && rtc);
	c->idle_ns = 1000000000 - ns;
	clk.now = cpu_now(c);
	clock_arm(&clk, &timer, clk.now + PERIOD);
	POKE(CODE, 0xb0, index, 0xe6, 0x70, /* out 70h, al */ 0xe4, port, /* in al, port */ 0xa8,
		bit, /* test al, bit */
	     0x74, 0xf6, /* jz -10 */ 0x41, /* inc cx */
	     0xb0, index, 0xe6, 0x70, 0xe4, port, 0xa8, bit, 0x75, 0xf6, /* jnz -10 */ 0x41, 0xeb, 0xe8 /* jmp -24 */);
}
static void wait_for_update(void) { poll_timer(2600000, 10, 0x71, 0x80); }
static void wait_for_second(void) { poll_timer(1500000, 0, 0x71, 0x01); }
static void read_flags_of_rtc(void) { poll_timer(1500000, 12, 0x71, 0x40); }

static void wait_for_refresh(void)
{
	poll_timer(1, 0, 0x61, 0x10);
	POKE(CODE, 0xe4, 0x61, 0xa8, 0x10, 0x74, 0xfa, 0x41, 0xe4, 0x61, 0xa8, 0x10, 0x75, 0xfa, 0x41, 0xeb, 0xf0);
}

#define PROGRAM(name, ...) static void name(void) { begin(REAL, count_in_memory); POKE(CODE, __VA_ARGS__); }
PROGRAM(count_up, 0x40, /* inc ax */ 0xeb, 0xfd)
PROGRAM(store_another, 0xff, 0x06, 0x00, 0x50, /* inc word [5000h] */ 0xeb, 0xfa)
PROGRAM(store_the_same, 0x88, 0x06, 0x10, 0x50, /* mov [5010h], al */ 0xeb, 0xfa)
PROGRAM(exchange, 0x86, 0x06, 0x10, 0x50, /* xchg [5010h], al */ 0xeb, 0xfa)
PROGRAM(push_and_pop, 0x50, 0x58, 0xeb, 0xfc)
PROGRAM(read_time, 0x0f, 0x31, /* rdtsc */ 0xeb, 0xfc)
PROGRAM(read_no_port, 0xe4, 0x61, /* in al, 61h */ 0xeb, 0xfc)
PROGRAM(read_two_bytes, 0xba, 0xda, 0x03, /* mov dx, 3DAh */ 0xed, /* in ax, dx */ 0xb0, 0x00, /* mov al, 0 */ 0xb4,
	0x00, /* mov ah, 0 */ 0xeb, 0xf6)
PROGRAM(allow_interrupts, 0xfb, /* sti */ 0xeb, 0xfd)
PROGRAM(toggle, 0x80, 0x36, 0x10, 0x50, 0x01, /* xor byte [5010h], 1 */ 0xeb, 0xf9)
PROGRAM(store_same_code, 0xc6, 0x06, 0x06, 0x80, 0x90, /* mov byte [8006h], 90h */ 0x90, 0x90, 0xeb, 0xf7)
/* Everything is as it was after 256 times. */
PROGRAM(store_other_code, 0xfe, 0x06, 0x05, 0x80, /* inc byte [8005h] */ 0xb0, 0x00, /* mov al, n */ 0x30,
	0xc0, /* xor al, al */
	0xeb, 0xf6)
PROGRAM(fill_much, 0x31, 0xff, /* xor di, di */ 0xb9, 0x00, 0x10, /* mov cx, 1000h */ 0xbf, 0x00,
	0x50, /* mov di, 5000h */
	0xf3, 0xaa, /* rep stosb */ 0xeb, 0xf4)
PROGRAM(copy_little, 0xb9, 0x10, 0x00, /* mov cx, 10h */ 0xbe, 0x20, 0x50, /* mov si, 5020h */ 0xbf, 0x40,
	0x50, /* mov di, 5040h */
	0xf3, 0xa4, /* rep movsb */ 0xeb, 0xf3)
PROGRAM(write_port, 0xe6, 0x80, /* out 80h, al */ 0xeb, 0xfc)
PROGRAM(write_device_port, 0xba, 0xda, 0x03, 0xee, /* out dx, al */ 0xeb, 0xfa)
PROGRAM(draw, 0x0f, 0xc7, 0xf0, /* rdrand ax */ 0xb8, 0x00, 0x00, 0xeb, 0xf8)
PROGRAM(push_time, 0x0f, 0x31, 0x50, 0x58, 0x31, 0xc0, 0x31, 0xd2, 0xeb, 0xf6)
PROGRAM(read_time_register, 0xb9, 0x10, 0x00, 0x66, 0x31, 0xd2, /* xor edx, edx */ 0x0f, 0x32, /* rdmsr */ 0x66, 0x31,
	0xc0,
	0x66, 0x31, 0xd2, 0xeb, 0xf0)

static void read_memory_of_device(void)
{
	begin(REAL, count_in_memory);
	POKE(CODE, 0xa1, 0x00, 0x00, /* mov ax, [0] */ 0xeb, 0xfb);
	seg_load_real(c, DS, 0x2000);
	settle();
}

/* They have one place in the TLB, so that each access walks. */
static void read_two_pages(void)
{
	begin(LONG, count_in_memory);
	poke64(PML4 + 0x1008, 0xe7);
	POKE(CODE, 0x8b, 0x03, /* mov eax, [rbx] */ 0x8b, 0x0e, /* mov ecx, [rsi] */ 0xeb, 0xfa);
	c->r[RSI] = DATA + BEYOND_1_GIB;
}

static void be_long(void)
{
	begin(REAL, count_in_memory);
	for (unsigned i = 0; i < 100; i++)
		poke8(CODE + i, 0x90);
	POKE(CODE + 100, 0xeb, 0x9a);
}

static void have_breakpoint(void)
{
	wait_for_tick();
	write_dr(c, 0, 0x6000);
	write_dr(c, 7, 0x30001); /* of reads and writes */
}

static void be_observed(void)
{
	static struct observer *nobody;

	wait_for_tick();
	if (!nobody)
		nobody = calloc(1, sizeof *nobody);
	c->all->observer = nobody;
}

/* ---- runs ---- */

struct place { u64 icount, state; };

static u64 state(void)
{
	u64 h = hash64(bare_state(), ram->host, RAM_SIZE);

	h = tlb_hash(c, h);
	if (pit) {
		struct part parts[] = { pit_part(pit), rtc_part(rtc) };

		h = part_hash(&parts[1], part_hash(&parts[0], h));
	}
	if (other) {
		struct part part;

		cpu_parts(other, &part, 1);
		h = part_hash(&part, h);
	}
	return h;
}

static u64 random_seed;
static unsigned below(unsigned n)
{
	random_seed = random_seed * 6364136223846793005 + 1442695040888963407;
	return (unsigned)(random_seed >> 33) % n;
}

/* The state of PROGRAM where CUTS end it, which SEED decides; how many instructions it skipped. */
static u64 run(void (*program)(void), bool skip, u64 which, struct place *places)
{
	u64 skipped;

	random_seed = which;
	program();
	c->all->no_skip_waiting = !skip;
	for (unsigned i = 0; i < CUTS; i++) {
		static const unsigned lengths[] = { 3, 1100, 60000, 300000, TOTAL };
		u64 left = TOTAL - c->icount, length = 1 + below(lengths[below(ARRAY_LEN(lengths))]);
		enum cpu_stop stop =
			cpus_run(c->all, c->icount + (i == CUTS - 1 || length > left ? left : length), CLOCK_NEVER);

		ck_assert_int_eq(stop, CPU_LIMIT);
		places[i] = (struct place){ c->icount, state() };
		if (c->icount == TOTAL)
			break;
	}
	ck_assert_uint_eq(c->icount, TOTAL);
	skipped = c->all->skipped;
	end();
	return skipped;
}

/* What was skipped in the longest of some runs. */
static u64 same(void (*program)(void), const char *name)
{
	static struct place with[CUTS], without[CUTS];
	u64 most = 0;

	for (u64 which = 1; which <= 4; which++) {
		u64 skipped;

		memset(with, 0, sizeof with);
		memset(without, 0, sizeof without);
		ck_assert_uint_eq(run(program, false, which, without), 0);
		skipped = run(program, true, which, with);
		most = skipped > most ? skipped : most;
		for (unsigned i = 0; i < CUTS; i++)
			ck_assert_msg(with[i].icount == without[i].icount && with[i].state == without[i].state,
				      "%s, run %u, cut %u: another state at %llu (%llu)", name, (unsigned)which, i,
				      (unsigned long long)with[i].icount,
				      (unsigned long long)without[i].icount);
	}
	return most;
}

#define KIND(program, percent) { program, #program, percent }
static const struct waiter { void (*program)(void); const char *name; unsigned percent; } waiting[] = {
	KIND(wait_for_tick, 80), KIND(wait_in_32_bits, 80), KIND(wait_in_64_bits, 80), KIND(wait_for_handler, 80),
		KIND(jump_to_itself, 80),
	KIND(spin, 20), KIND(wait_for_raster, 80), KIND(read_no_port, 80), KIND(store_the_same, 80), KIND(exchange, 80),
	KIND(push_and_pop, 80), KIND(allow_interrupts, 80), KIND(read_two_pages, 80), KIND(store_other_code, 80),
	KIND(be_long, 80),
	KIND(toggle, 80), KIND(store_same_code, 80), KIND(copy_little, 80), KIND(write_port, 80), KIND(call_bios, 70),
	KIND(call_function, 70),
	KIND(switch_mode, 80), KIND(clear_accessed, 80), KIND(wait_for_update, 80), KIND(wait_for_second, 80),
	KIND(wait_for_refresh, 80), KIND(spin_by_exchange, 20),
}, busy[] = {
	KIND(count_up, 0), KIND(store_another, 0), KIND(read_time, 0), KIND(poll_what_says_nothing, 0),
		KIND(read_two_bytes, 0),
	KIND(read_memory_of_device, 0), KIND(have_breakpoint, 0), KIND(be_observed, 0), KIND(fill_much, 0),
	KIND(write_device_port, 0),
	KIND(draw, 0), KIND(push_time, 0), KIND(read_time_register, 0), KIND(read_flags_of_rtc, 0),
};

START_TEST(waits)
{
	u64 skipped = same(waiting[_i].program, waiting[_i].name);

	if (!getenv("VCPU_COVERAGE"))
		ck_assert_msg(skipped * 100 >= (u64)TOTAL * waiting[_i].percent,
			      "%s: only %llu instructions were skipped", waiting[_i].name, (unsigned long long)skipped);
}
END_TEST

START_TEST(does_not_wait)
{
	u64 skipped = same(busy[_i].program, busy[_i].name);

	ck_assert_msg(skipped == 0, "%s: %llu instructions were skipped", busy[_i].name, (unsigned long long)skipped);
}
END_TEST

/* ---- any loop ---- */

static u64 loop_seed;

/* A loop of instructions most of which wait.c knows; some store, or count. */
static void any_loop(void)
{
	static const struct { u8 len, bytes[5]; } some[] = {
		{ 3, { 0xa1, 0x00, 0x50 } }, /* mov ax, [5000h] */ { 4,
			{ 0x8b, 0x16, 0x02, 0x50 } }, /* mov dx, [5002h] */ { 2, { 0x8b, 0x07 } }, /* mov ax, [bx] */
		{ 4, { 0x3b, 0x06, 0x00, 0x50 } }, /* cmp ax, [5000h] */ { 5,
			{ 0x80, 0x3e, 0x00, 0x50, 0x03 } }, /* cmp byte [5000h], 3 */ { 2,
			{ 0x39, 0xd0 } }, /* cmp ax, dx */
		{ 3, { 0x25, 0x0f, 0x00 } }, /* and ax, 15 */ { 2, { 0x31, 0xc0 } }, /* xor ax, ax */ { 2,
			{ 0x09, 0xd0 } }, /* or ax, dx */ { 1, { 0x90 } },
		{ 2, { 0xf3, 0x90 } }, { 2, { 0x72, 0x00 } }, /* jb */ { 2, { 0x75, 0x00 } }, /* jne */ { 1,
			{ 0xf5 } }, /* cmc */ { 1, { 0x98 } }, /* cbw */ { 2, { 0xd1, 0xe8 } }, /* shr ax, 1 */
		{ 5, { 0x0f, 0xa3, 0x06, 0x00, 0x50 } }, /* bt [5000h], ax */ { 3,
			{ 0x0f, 0x44, 0xc2 } }, /* cmove ax, dx */ { 2, { 0x87, 0xf7 } }, /* xchg si, di */
		{ 2, { 0x50, 0x5e } }, /* push ax, pop si */ { 2, { 0x52, 0x5b } }, /* push dx, pop bx */
		{ 3, { 0x87, 0x47, 0x10 } }, /* xchg ax, [bx+10h] */ { 5,
			{ 0xc6, 0x06, 0x04, 0x50, 0x07 } }, /* mov byte [5004h], 7 */
		{ 1, { 0xfa } }, /* cli */ { 2, { 0x0e, 0x07 } }, /* push cs, pop es */
		{ 1, { 0x41 } }, /* inc cx */ { 4, { 0x89, 0x16, 0x02, 0x50 } }, /* mov [5002h], dx */ { 2,
			{ 0x13, 0xc2 } }, /* adc ax, dx */
	};
	u64 keep = random_seed;
	unsigned at = CODE;

	begin(REAL, count_in_memory);
	random_seed = loop_seed;
	for (unsigned n = 1 + below(12); n; n--) {
		unsigned which = below(below(4) ? ARRAY_LEN(some) - 3 : ARRAY_LEN(some));

		poke(at, some[which].bytes, some[which].len);
		at += some[which].len;
	}
	POKE(at, 0xeb, (u8)(CODE - at - 2));
	random_seed = keep;
}

START_TEST(any)
{
	u64 loops = 0;

	for (loop_seed = 1; loop_seed <= 40; loop_seed++)
		loops += same(any_loop, "a loop") > TOTAL / 2;
	ck_assert(loops >= 10 && loops < 40);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("waiting");
	TCase *t = tcase_create("waiting");

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, waits, 0, ARRAY_LEN(waiting));
	tcase_add_loop_test(t, does_not_wait, 0, ARRAY_LEN(busy));
	tcase_add_test(t, any);
	suite_add_tcase(s, t);
	return bare_run(s);
}
