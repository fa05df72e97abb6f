/* SPDX-License-Identifier: MIT */
/* The paravirtual interface against Linux's Documentation/virt/kvm/x86 (cpuid.rst, msr.rst, hypercalls.rst): what CPUID
 * shows, the clocks in memory, EOI through memory, hypercalls. */
#include <check.h>
#include <stdlib.h>
#include "cpu/system/apic.h"
#include "cpu/system/paravirt.h"
#include "cpu/system/system.h"

enum { RAM = 1 << 20, CLOCK = 0x1000, WALL = 0x2000, EOI = 0x3000, PAIR = 0x4000, CODE = 0x8000 };
enum { SYSTEM_TIME = 0x4b564d01, WALL_CLOCK = 0x4b564d00, STEAL = 0x4b564d03, EOI_EN = 0x4b564d04,
       POLL = 0x4b564d05 };
enum { BOOT = 1234567890 };
#define APIC 0xfee00000u

static struct space mem, io;
static struct ram *ram;
static struct clock clk;
static struct model model;
static struct cpu *c, *other;

static void build(const char *name)
{
	struct cpu_config config = { .model = &model, .mem = &mem, .io = &io, .clock = &clk, .apic = true,
				     .boot_time = BOOT };

	ck_assert(model_parse(&model, name, NULL));
	space_init(&mem);
	space_init(&io);
	clk = (struct clock){ 0 };
	ram = ram_new(RAM);
	ck_assert_int_ge(space_add_ram(&mem, "ram", 0, RAM, ram, 0, false), 0);
	c = config.with = cpu_new(&config);
	other = cpu_new(&config);
	ck_assert(c && other);
	ram->written = cpu_code_written;
	ram->owner = c;
}

static void setup(void) { build("max,+kvm"); }

static void teardown(void)
{
	cpu_free(other);
	cpu_free(c);
	ram_free(ram);
	space_free(&mem);
	space_free(&io);
}

static u64 memory(u64 at, unsigned size)
{
	u64 v = 0;

	memcpy(&v, ram->host + at, size);
	return v;
}

static void pass(u64 ns)
{
	c->idle_ns += ns;
	clk.now = cpu_now(c);
}

START_TEST(what_cpuid_shows)
{
	u32 out[4];

	cpuid(c, 1, 0, out);
	ck_assert(out[2] >> 31);
	cpuid(c, 0x40000000, 0, out);
	ck_assert_uint_eq(out[0], 0x40000001);
	ck_assert(!memcmp(out + 1, "KVMKVMKVM\0\0\0", 12));
	cpuid(c, 0x40000001, 0, out);
	/* 0, 3 clock | 1 no delays for ports | 5 steal time | 6 EOI | 7 kick | 11 IPI | 12 polling | 24 stable */
	ck_assert_uint_eq(out[0], 0x010018eb);
	teardown();
	build("max");
	cpuid(c, 1, 0, out);
	ck_assert(!(out[2] >> 31));
	cpuid(c, 0x40000000, 0, out);
	ck_assert_uint_ne(out[0], 0x40000001);
	ck_assert(!write_msr(c, SYSTEM_TIME, CLOCK | 1));
	ck_assert(!write_msr(c, 0x12, CLOCK | 1));
}
END_TEST

/* The formula of msr.rst. */
static u64 clock_says(const struct cpu *of, u64 at)
{
	u64 time = read_tsc(of) - memory(at + 8, 8);
	s8 shift = (s8)memory(at + 28, 1);

	time = shift >= 0 ? time << shift : time >> -shift;
	return (u64)((unsigned __int128)time * memory(at + 24, 4) >> 32) + memory(at + 16, 8);
}

START_TEST(the_clock)
{
	u64 v, version;

	pass(1000);
	ck_assert(write_msr(c, 0x10, 77777)); /* the TSC */
	ck_assert(write_msr(c, SYSTEM_TIME, CLOCK | 1));
	version = memory(CLOCK, 4);
	ck_assert(version && !(version & 1));
	ck_assert_uint_eq(memory(CLOCK + 29, 1), 1); /* stable */
	ck_assert_uint_eq(clock_says(c, CLOCK), clk.now);
	pass(123456789);
	ck_assert_uint_eq(clock_says(c, CLOCK), clk.now);
	ck_assert(write_msr(c, 0x10, 5));
	ck_assert_uint_ne(memory(CLOCK, 4), version);
	ck_assert_uint_eq(clock_says(c, CLOCK), clk.now);
	pass(10);
	ck_assert_uint_eq(clock_says(c, CLOCK), clk.now);
	ck_assert(read_msr(c, 0x12, &v) && v == (CLOCK | 1)); /* the old number of the same register */
	ck_assert(write_msr(c, 0x12, 0));
	version = memory(CLOCK, 4);
	ck_assert(write_msr(c, 0x10, 6));
	ck_assert_uint_eq(memory(CLOCK, 4), version); /* it is off */
	ck_assert(write_msr(c, WALL_CLOCK, WALL));
	ck_assert_uint_eq(memory(WALL + 4, 4), BOOT);
	ck_assert_uint_eq(memory(WALL + 8, 4), 0);
	ck_assert(write_msr(c, SYSTEM_TIME, ((u64)1 << 39) | 1)); /* no memory is there */
}
END_TEST

START_TEST(reserved_bits)
{
	u64 v;

	ck_assert(write_msr(c, STEAL, 0x5000 | 1));
	ck_assert(!write_msr(c, STEAL, 0x5000 | 2));
	ck_assert(write_msr(c, EOI_EN, EOI | 1));
	ck_assert(!write_msr(c, EOI_EN, EOI | 3));
	ck_assert(read_msr(c, POLL, &v) && v == 1);
	ck_assert(write_msr(c, POLL, 0));
	ck_assert(!write_msr(c, POLL, 2));
	ck_assert(!write_msr(c, 0x4b564d02, 1)); /* asynchronous page faults: not offered */
	ck_assert(!read_msr(c, 0x4b564d08, &v));
	cpu_reset(c, true);
	ck_assert(read_msr(c, EOI_EN, &v) && !v);
	ck_assert(read_msr(c, POLL, &v) && v == 1);
}
END_TEST

/* ---- EOI ---- */

static void interrupt_with(unsigned vector) { apic_message(c->apic, APIC, vector); }
static bool in_service(unsigned vector) { return c->apic->isr[vector / 32] >> (vector & 31) & 1; }

static void take(unsigned vector)
{
	interrupt_with(vector);
	ck_assert(apic_pending(c->apic));
	ck_assert_int_eq(apic_acknowledge(c->apic), (int)vector);
}

START_TEST(eoi_in_memory)
{
	space_write(&mem, APIC + 0xf0, 4, 0x1ff);
	ck_assert(write_msr(c, EOI_EN, EOI | 1));
	take(0x50);
	ck_assert_uint_eq(memory(EOI, 4), 1);
	ck_assert(in_service(0x50));
	ram->host[EOI] = 0; /* the guest's EOI; a lower interrupt may come now */
	interrupt_with(0x40);
	ck_assert(!in_service(0x50));
	ck_assert(apic_pending(c->apic));
	ck_assert_int_eq(apic_acknowledge(c->apic), 0x40);
	ck_assert_uint_eq(memory(EOI, 4), 1);

	interrupt_with(0x30); /* without an EOI: the offer is over, and the register is to be written */
	ck_assert_uint_eq(memory(EOI, 4), 0);
	ck_assert(in_service(0x40) && !apic_pending(c->apic));
	space_write(&mem, APIC + 0xb0, 4, 0);
	ck_assert(!in_service(0x40) && apic_pending(c->apic));
	ck_assert_int_eq(apic_acknowledge(c->apic), 0x30);
	ck_assert_uint_eq(memory(EOI, 4), 1);
	space_write(&mem, APIC + 0xb0, 4, 0); /* the register, although memory would do */
	ck_assert_uint_eq(memory(EOI, 4), 0);
	ck_assert(!in_service(0x30));

	take(0x50);
	ram->host[EOI] = 0;
	ck_assert_uint_eq(space_read(&mem, APIC + 0x120, 4), 0); /* ISR, as the guest reads it */
}
END_TEST

/* Level interrupts, and one of several, need the register. */
START_TEST(no_eoi_in_memory)
{
	space_write(&mem, APIC + 0xf0, 4, 0x1ff);
	ck_assert(write_msr(c, EOI_EN, EOI | 1));
	apic_message(c->apic, APIC, 0xc000 | 0x50);
	ck_assert_int_eq(apic_acknowledge(c->apic), 0x50);
	ck_assert_uint_eq(memory(EOI, 4), 0);
	take(0x60); /* above it */
	ck_assert_uint_eq(memory(EOI, 4), 0);
	space_write(&mem, APIC + 0xb0, 4, 0);
	space_write(&mem, APIC + 0xb0, 4, 0);
	interrupt_with(0x31);
	interrupt_with(0x32);
	ck_assert_int_eq(apic_acknowledge(c->apic), 0x32);
	ck_assert_uint_eq(memory(EOI, 4), 0);
}
END_TEST

/* ---- hypercalls ---- */

static s64 call(u64 number, u64 a0, u64 a1, u64 a2, u64 a3)
{
	c->r[RAX] = number, c->r[RBX] = a0, c->r[RCX] = a1, c->r[RDX] = a2, c->r[RSI] = a3;
	paravirt_hypercall(c);
	return (s32)c->r[RAX];
}

START_TEST(hypercalls)
{
	pass(5000000123);
	ck_assert_int_eq(call(1, 0, 0, 0, 0), 0);
	ck_assert_int_eq(call(999, 0, 0, 0, 0), -1000);
	ck_assert_int_eq(call(9, PAIR, 0, 0, 0), 0);
	ck_assert_uint_eq(memory(PAIR, 8), BOOT + 5);
	ck_assert_uint_eq(memory(PAIR + 8, 8), 123);
	ck_assert_uint_eq(memory(PAIR + 16, 8), read_tsc(c));
	ck_assert_int_eq(call(9, PAIR, 1, 0, 0), -95);
	ck_assert_int_eq(call(9, RAM, 0, 0, 0), -14);

	other->apic->svr = c->apic->svr = 0x1ff;
	ck_assert_int_eq(call(10, 3, 0, 0, 0x41), 2); /* IDs 0 and 1 */
	ck_assert(apic_pending(c->apic) && apic_pending(other->apic));
	ck_assert_int_eq(call(10, 1, 0, 1, 0x42), 1);
	ck_assert_int_eq(apic_acknowledge(c->apic), 0x41);
	ck_assert_int_eq(apic_acknowledge(other->apic), 0x42);
	ck_assert_int_eq(call(10, 1, 0, 9, 0x42), 0);
	ck_assert_int_eq(call(10, 0xffffffff, 0, 0xffffffff, 0x43), 0); /* IDs do not begin anew at 0 */
	ck_assert_int_eq(call(10, 1, 0, 0, 0x40000), -22);

	other->activity = ACTIVITY_HALT;
	ck_assert_int_eq(call(5, 0, 1, 0, 0), 0);
	ck_assert_int_eq(other->activity, ACTIVITY_RUN);
	ck_assert_int_eq(call(5, 0, 1, 0, 0), 0); /* before it sleeps: the next HLT does not */
	ck_assert(paravirt_awake(other));
	ck_assert(!paravirt_awake(other));
	c->cpl = 3;
	ck_assert_int_eq(call(1, 0, 0, 0, 0), -1);
}
END_TEST

/* The instruction, in 32-bit protected mode: also of a model without VMX. */
START_TEST(vmcall)
{
	static const char *const models[] = { "max,+kvm", "pentium,+kvm", "max", "pentium" };

	for (unsigned i = 0; i < ARRAY_LEN(models); i++) {
		teardown();
		build(models[i]);
		for (unsigned s = ES; s <= GS; s++)
			c->seg[s] = (struct seg){ .limit = 0xffffffff,
						  .attr = SEG_P | SEG_S | SEG_W | SEG_A | SEG_G | SEG_DB };
		c->seg[CS].attr |= SEG_CODE;
		c->cr0 = CR0_PE | CR0_ET;
		c->r[RIP] = CODE;
		c->r[RAX] = 1;
		c->idtr.limit = 0;
		memcpy(ram->host + CODE, "\x0f\x01\xc1\xf4", 4); /* vmcall; hlt */
		cpu_loaded(c);
		cpu_run(c, c->icount + 1, CLOCK_NEVER);
		ck_assert_msg((c->r[RIP] == CODE + 3 && !c->r[RAX]) == (i < 2), "%s: %llx", models[i],
			      (unsigned long long)c->r[RIP]);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("paravirt");
	TCase *t = tcase_create("paravirt");
	SRunner *runner = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, what_cpuid_shows);
	tcase_add_test(t, the_clock);
	tcase_add_test(t, reserved_bits);
	tcase_add_test(t, eoi_in_memory);
	tcase_add_test(t, no_eoi_in_memory);
	tcase_add_test(t, hypercalls);
	tcase_add_test(t, vmcall);
	suite_add_tcase(s, t);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
