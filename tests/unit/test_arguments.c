/* SPDX-License-Identifier: MIT */
/* NULL and impossible arguments, for every function of the installed headers: an error, and the machine is as it was. A
 * function that is added to a header has no row here, and the test fails. */
#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include "lib/vcpu_debug.h"
#include "lib/vcpu_dump.h"
#include "lib/vcpu_hook.h"
#include "lib/vcpu_snapshot.h"

enum { RAM = 0x10000 };
static vcpu *bare, *pc;           /* a processor with RAM from 0 on; a PC that has run a little */
static vcpu_debug *debugger;      /* of the PC */
static vcpu_replay *replay;
static vcpu_snapshot *snapshot;   /* of `bare' */
static uint8_t bytes[RAM];
static char *error;
static unsigned called;

static struct { uint8_t bytes[1 << 18]; size_t len; } recording;

static bool append(void *user, const void *data, size_t len)
{
	(void)user;
	if (len > sizeof recording.bytes - recording.len)
		return false;
	memcpy(recording.bytes + recording.len, data, len);
	recording.len += len;
	return true;
}

static void each_part(void *user, const char *part, uint64_t hash) { (void)user, (void)part, (void)hash; called++; }
static void each_field(void *user, const char *part, const char *field, unsigned index, uint64_t value)
{
	(void)user, (void)part, (void)field, (void)index, (void)value;
	called++;
}
static void each_translation(void *user, const struct vcpu_debug_translation *t) { (void)user, (void)t; called++; }
static void each_clock(void *user, const char *name, uint64_t when) { (void)user, (void)name, (void)when; called++; }
static void each_event(void *user, const struct vcpu_debug_event *event) { (void)user, (void)event; called++; }
static void each_code(void *user, uint64_t address, unsigned size) { (void)user, (void)address, (void)size; called++; }
static bool each_stop(void *user, const struct vcpu_debug_stop *stop) { (void)user, (void)stop; called++; return true; }

/* A call that must fail, and say why where it can. */
#define SAYS(v) ck_assert_str_ne(vcpu_error(v), "")
#define FAILS(v, call) do { ck_assert_int_eq((call), -1); SAYS(v); } while (0)
#define TELLS(call) do { error = NULL; ck_assert(!(call)); ck_assert_ptr_nonnull(error); \
	ck_assert_ptr_null(strchr(error, '\n')); free(error); } while (0)
#define ERROR(call) ck_assert_int_eq((call).what, VCPU_DEBUG_ERROR)
#define ROW(name) static void row_##name(void)

/* ---- vcpu.h ---- */

/* Programs that were compiled with headers that have fewer members, or more. */
static void sizes(void)
{
	struct { struct vcpu_config c; uint64_t more[2]; } later = { .c = { .size = sizeof later, .memory = 1 << 20 } };
	struct vcpu_config earlier = { .size = offsetof(struct vcpu_config, kernel), .memory = 1 << 20,
				       .kernel = "/nowhere" };
	char *why = NULL;
	vcpu *v = vcpu_new(&earlier, &why);

	ck_assert_msg(v != NULL, "%s", why); /* the kernel is beyond its end */
	vcpu_free(v);
	v = vcpu_new(&later.c, &why);
	ck_assert_msg(v != NULL, "%s", why);
	vcpu_free(v);
	later.more[1] = 1;
	ck_assert_ptr_null(vcpu_new(&later.c, &why));
	ck_assert_ptr_nonnull(strstr(why, "has not"));
	free(why);
	earlier.size = sizeof earlier;
	ck_assert_ptr_null(vcpu_new(&earlier, NULL));
}

/* As sizes(): OK says whether CALL has taken `later.c', which has two more members than this version knows. */
#define LATER(type, call, ok, ...) \
	do { \
		struct { struct type c; uint64_t more[2]; } later = { .c = { .size = sizeof later, __VA_ARGS__ } }; \
		ck_assert(ok(call)); \
		later.more[1] = 1; \
		ck_assert(!ok(call)); \
		later.more[1] = 0; \
		later.c.size = sizeof(size_t); \
		ck_assert(!ok(call)); \
		later.c.size = ~(size_t)0; \
		ck_assert(!ok(call)); \
	} while (0)
#define IS_ID(id) ((id) > 0)
#define IS_DONE(result) ((result) == 0)

ROW(vcpu_new)
{
	static const struct vcpu_drive odd_bus = { .bus = (enum vcpu_bus)99 }, empty = { .bus = VCPU_BUS_VIRTIO },
				       none = { "", VCPU_BUS_IDE, false };
	static const struct vcpu_config bad[] = {
		{ .size = 1 }, { .size = ~(size_t)0 }, { .memory = 1 }, { .memory = ~(uint64_t)0 }, { .memory = (uint64_t)1 << 63 }, { .processors = 65 },
			{ .processors = ~0u }, { .drives_count = 1 },
		{ .drives = &odd_bus, .drives_count = 1 }, { .drives = &empty, .drives_count = 1 },
			{ .drives = &none, .drives_count = 1 },
		{ .drives = &none, .drives_count = VCPU_DRIVES + 1 }, { .drives = &none, .drives_count = ~0u },
			{ .cpu = "," },
		{ .cpu = "max," }, { .display = "" }, { .display = "x" }, { .nic = "x" }, { .kernel_size = 1 },
			{ .initrd_size = 1 },
		{ .kernel_data = "", .kernel_size = 0 }, { .ns_per_instruction_q16 = ~(uint64_t)0 },
			{ .rtc = ~(uint64_t)0 }, { .kernel = "" },
		{ .bios = "" }, { .bare = true, .processors = 2 },
			{ .bare = true, .drives = &empty, .drives_count = 1 }, { .boot = "z" },
		{ .share = "" },
	};

	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
		vcpu *v = vcpu_new(&bad[i], &error);

		ck_assert_msg(!v && error && *error, "configuration %u", i);
		free(error);
		ck_assert_ptr_null(vcpu_new(&bad[i], NULL));
	}
	vcpu_free(vcpu_new(NULL, NULL));
	sizes();
}
ROW(vcpu_free) { vcpu_free(NULL); }
ROW(vcpu_stop_name)
{
	ck_assert_str_eq(vcpu_stop_name((enum vcpu_stop_reason)-1), "unknown");
	ck_assert_str_eq(vcpu_stop_name((enum vcpu_stop_reason)1000), "unknown");
}
ROW(vcpu_run)
{
	ck_assert_int_eq(vcpu_run(NULL, 1).reason, VCPU_STOP_HOST);
	ck_assert_int_eq(vcpu_run(bare, 0).reason, VCPU_STOP_LIMIT);
}
ROW(vcpu_flush) { FAILS(NULL, vcpu_flush(NULL)); }
ROW(vcpu_stop) { vcpu_stop(NULL); }
ROW(vcpu_limit_time)
{
	vcpu_limit_time(NULL, 0, 0);
	vcpu_limit_time(bare, 0, ~(uint64_t)0); /* it is over */
	ck_assert_int_eq(vcpu_run(bare, 1).reason, VCPU_STOP_TIME);
	vcpu_limit_time(bare, ~(uint64_t)0, ~(uint64_t)0);
	ck_assert_int_eq(vcpu_run(bare, 0).reason, VCPU_STOP_LIMIT);
}
ROW(vcpu_input)
{
	static const struct { enum vcpu_channel channel; size_t len; } bad[] = {
		{ (enum vcpu_channel)-1, 1 }, { VCPU_CHANNELS, 1 }, { VCPU_LOG, 1 }, { VCPU_COM1, ~(size_t)0 },
			{ VCPU_KEYBOARD, ~(size_t)0 },
		{ VCPU_MOUSE, 1 }, { VCPU_MOUSE, ~(size_t)7 }, { VCPU_MEDIUM, 1 }, { VCPU_MEDIUM, 2 },
			{ VCPU_MEDIUM, ~(size_t)1 }, { VCPU_MACHINE_CHECK, 0 }, { VCPU_NET, ~(size_t)0 },
		{ VCPU_SHARE, ~(size_t)0 }, { VCPU_CONSOLE, ~(size_t)0 },
	};

	FAILS(NULL, vcpu_input(NULL, VCPU_COM1, "x", 1));
	FAILS(bare, vcpu_input(bare, VCPU_COM1, "x", 1));
	for (int channel = 0; channel < VCPU_CHANNELS; channel++)
		FAILS(pc, vcpu_input(pc, (enum vcpu_channel)channel, NULL, 1));
	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_msg(vcpu_input(pc, bad[i].channel, "\xff\xff", bad[i].len) == -1, "input %u", i);
	ck_assert_int_eq(vcpu_input(pc, VCPU_COM1, NULL, 0), 0);
	ck_assert_int_eq(vcpu_input(pc, VCPU_KEYBOARD, NULL, 0), 0);
	ck_assert_int_eq(vcpu_input(pc, VCPU_MOUSE, NULL, 0), 0);
}
ROW(vcpu_instructions) { ck_assert_uint_eq(vcpu_instructions(NULL), 0); }
ROW(vcpu_virtual_ns) { ck_assert_uint_eq(vcpu_virtual_ns(NULL), 0); }
ROW(vcpu_memory_counts) { ck_assert_uint_eq(vcpu_memory_counts(NULL).own, 0); }
ROW(vcpu_trim) { ck_assert_uint_eq(vcpu_trim(NULL), 0); }
ROW(vcpu_resident) { ck_assert_uint_eq(vcpu_resident(NULL), 0); }
ROW(vcpu_cache_counts) { ck_assert_uint_eq(vcpu_cache_counts(NULL).blocks_16, 0); }
ROW(vcpu_error) { ck_assert_str_ne(vcpu_error(NULL), ""); }
ROW(vcpu_fault_chain)
{
	struct vcpu_fault f;

	ck_assert_uint_eq(vcpu_fault_chain(NULL, &f, 1), 0);
	ck_assert_uint_eq(vcpu_fault_chain(bare, NULL, 1), 0);
	ck_assert_uint_eq(vcpu_fault_chain(bare, &f, 0), 0);
}
ROW(vcpu_register_by_name)
{
	ck_assert_int_eq(vcpu_register_by_name(NULL), -1);
	ck_assert_int_eq(vcpu_register_by_name(""), -1);
	ck_assert_int_eq(vcpu_register_by_name("raxx"), -1);
}

static const int no_register[] = { -1, VCPU_REGISTERS, 0xff, 0x200 + VCPU_ES, 0x300 + VCPU_RIP, 0x500, 0x1020, 0x1108,
	0x7fffffff, -0x7fffffff };

ROW(vcpu_register_name)
{
	for (unsigned i = 0; i < sizeof no_register / sizeof *no_register; i++)
		ck_assert_ptr_null(vcpu_register_name(no_register[i]));
}
ROW(vcpu_get)
{
	ck_assert_uint_eq(vcpu_get(NULL, VCPU_RAX), 0);
	for (unsigned i = 0; i < sizeof no_register / sizeof *no_register; i++)
		ck_assert_uint_eq(vcpu_get(bare, no_register[i]), 0);
}
ROW(vcpu_set)
{
	static const struct { int reg; uint64_t value; } bad[] = {
		{ VCPU_CS, 0x10000 }, { VCPU_RFLAGS, ~(uint64_t)0 }, { VCPU_RIP, (uint64_t)1 << 32 },
			{ VCPU_CR0, ~(uint64_t)0 }, { VCPU_CR4, ~(uint64_t)0 },
		{ VCPU_CR8, 16 }, { VCPU_EFER, ~(uint64_t)0 }, { VCPU_MXCSR, 0x10000 }, { VCPU_FCW, 0x10000 },
			{ VCPU_FSW, 0x10000 }, { VCPU_DR7, ~(uint64_t)0 },
		{ VCPU_FS_BASE, (uint64_t)1 << 60 }, { VCPU_CPL, 0 }, { VCPU_CODE_BITS, 64 }, { VCPU_IDTR_LIMIT, 0x10000 },
			{ 0x100 + VCPU_RAX, (uint64_t)1 << 32 },
		{ 0x300 + VCPU_RAX, 256 },
	};

	FAILS(NULL, vcpu_set(NULL, VCPU_RAX, 0));
	for (unsigned i = 0; i < sizeof no_register / sizeof *no_register; i++)
		FAILS(bare, vcpu_set(bare, no_register[i], 0));
	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_msg(vcpu_set(bare, bad[i].reg, bad[i].value) == -1, "register %u", i);
}
ROW(vcpu_msr_number)
{
	uint32_t index;

	ck_assert(!vcpu_msr_number(NULL, 0, &index));
	ck_assert(!vcpu_msr_number(bare, 0, NULL));
	ck_assert(!vcpu_msr_number(bare, ~0u, &index));
}
ROW(vcpu_register_size)
{
	for (unsigned i = 0; i < sizeof no_register / sizeof *no_register; i++)
		ck_assert_uint_eq(vcpu_register_size(no_register[i]), 0);
}
ROW(vcpu_register_next)
{
	for (unsigned i = 1; i < sizeof no_register / sizeof *no_register - 1; i++)
		ck_assert_int_eq(vcpu_register_next(no_register[i]), -1);
}
ROW(vcpu_get_register)
{
	FAILS(NULL, vcpu_get_register(NULL, VCPU_RAX, bytes));
	FAILS(bare, vcpu_get_register(bare, VCPU_RAX, NULL));
	FAILS(bare, vcpu_get_register(bare, 0x1020, bytes));
	FAILS(bare, vcpu_get_register(bare, vcpu_register_by_name("zmm0"), bytes));
}
ROW(vcpu_set_register)
{
	FAILS(NULL, vcpu_set_register(NULL, VCPU_RAX, bytes));
	FAILS(bare, vcpu_set_register(bare, VCPU_RAX, NULL));
	FAILS(bare, vcpu_set_register(bare, 0x1020, bytes));
	FAILS(bare, vcpu_set_register(bare, vcpu_register_by_name("k1"), bytes));
}
ROW(vcpu_get_vector)
{
	ck_assert_int_eq(vcpu_get_vector(NULL, 0, bytes), -1);
	ck_assert_int_eq(vcpu_get_vector(bare, 16, bytes), -1);
	ck_assert_int_eq(vcpu_get_vector(bare, ~0u, bytes), -1);
	ck_assert_int_eq(vcpu_get_vector(bare, 0, NULL), -1);
}
ROW(vcpu_set_vector)
{
	FAILS(NULL, vcpu_set_vector(NULL, 0, bytes));
	FAILS(bare, vcpu_set_vector(bare, 16, bytes));
	FAILS(bare, vcpu_set_vector(bare, 0, NULL));
}
ROW(vcpu_get_st)
{
	ck_assert_int_eq(vcpu_get_st(NULL, 0, bytes), -1);
	ck_assert_int_eq(vcpu_get_st(bare, 8, bytes), -1);
	ck_assert_int_eq(vcpu_get_st(bare, ~0u, bytes), -1);
	ck_assert_int_eq(vcpu_get_st(bare, 0, NULL), -1);
}
ROW(vcpu_set_st)
{
	FAILS(NULL, vcpu_set_st(NULL, 0, bytes));
	FAILS(bare, vcpu_set_st(bare, 8, bytes));
	FAILS(bare, vcpu_set_st(bare, 0, NULL));
}
ROW(vcpu_processors) { ck_assert_uint_eq(vcpu_processors(NULL), 0); }
ROW(vcpu_select)
{
	FAILS(NULL, vcpu_select(NULL, 0));
	FAILS(bare, vcpu_select(bare, 1));
	FAILS(bare, vcpu_select(bare, ~0u));
}
ROW(vcpu_selected) { ck_assert_uint_eq(vcpu_selected(NULL), 0); }
ROW(vcpu_running) { ck_assert_uint_eq(vcpu_running(NULL), 0); }
ROW(vcpu_widest_mode) { ck_assert_uint_eq(vcpu_widest_mode(NULL), 0); }
ROW(vcpu_kernel_bits) { ck_assert_uint_eq(vcpu_kernel_bits(NULL), 0); }
ROW(vcpu_set_mode)
{
	FAILS(NULL, vcpu_set_mode(NULL, 32));
	FAILS(bare, vcpu_set_mode(bare, 0));
	FAILS(bare, vcpu_set_mode(bare, 33));
	FAILS(bare, vcpu_set_mode(bare, ~0u));
	FAILS(pc, vcpu_set_mode(pc, 64));
}
ROW(vcpu_read_physical)
{
	ck_assert_uint_eq(vcpu_read_physical(NULL, 0, bytes, 1), 0);
	ck_assert_uint_eq(vcpu_read_physical(bare, 0, NULL, 1), 0);
	ck_assert_uint_eq(vcpu_read_physical(bare, 0, NULL, 0), 0);
	ck_assert_uint_eq(vcpu_read_physical(bare, 0, bytes, ~(size_t)0), RAM);
	ck_assert_uint_eq(vcpu_read_physical(bare, RAM - 1, bytes, 2), 1);
	ck_assert_uint_eq(vcpu_read_physical(bare, ~(uint64_t)0, bytes, 2), 0);
}
ROW(vcpu_write_physical)
{
	vcpu_read_physical(bare, 0, bytes, RAM);
	ck_assert_uint_eq(vcpu_write_physical(NULL, 0, bytes, 1), 0);
	ck_assert_uint_eq(vcpu_write_physical(bare, 0, NULL, 1), 0);
	ck_assert_uint_eq(vcpu_write_physical(bare, 0, bytes, ~(size_t)0), RAM);
	ck_assert_uint_eq(vcpu_write_physical(bare, ~(uint64_t)0, bytes, 2), 0);
}
ROW(vcpu_read_linear)
{
	ck_assert_uint_eq(vcpu_read_linear(NULL, 0, bytes, 1), 0);
	ck_assert_uint_eq(vcpu_read_linear(bare, 0, NULL, 1), 0);
	ck_assert_uint_eq(vcpu_read_linear(bare, 0, bytes, ~(size_t)0), RAM);
	ck_assert_uint_eq(vcpu_read_linear(bare, ~(uint64_t)0 - 2, bytes, 8), 0);
}
ROW(vcpu_write_linear)
{
	vcpu_read_physical(bare, 0, bytes, RAM);
	ck_assert_uint_eq(vcpu_write_linear(NULL, 0, bytes, 1), 0);
	ck_assert_uint_eq(vcpu_write_linear(bare, 0, NULL, 1), 0);
	ck_assert_uint_eq(vcpu_write_linear(bare, 0, bytes, ~(size_t)0), RAM);
	ck_assert_uint_eq(vcpu_write_linear(bare, ~(uint64_t)0 - 2, bytes, 8), 0);
}
ROW(vcpu_map)
{
	static const struct { uint64_t address, len; } bad[] = {
		{ 0x100000, 0 }, { 0x100000, 1 }, { 0x100001, 0x1000 }, { 0, 0x1000 }, { 0xf000, 0x2000 },
			{ ~(uint64_t)0xfff, 0x1000 },
		{ ~(uint64_t)0xfff, 0x2000 }, { 0x100000, ~(uint64_t)0xfff }, { (uint64_t)1 << 63, (uint64_t)1 << 63 },
			{ 0x100000, (uint64_t)1 << 45 },
	};

	FAILS(NULL, vcpu_map(NULL, 0x100000, 0x1000));
	FAILS(pc, vcpu_map(pc, 0xf0000000, 0x1000));
	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_msg(vcpu_map(bare, bad[i].address, bad[i].len) == -1, "map %u", i);
}

ROW(vcpu_map_buffer) /* and test_map */
{
	FAILS(NULL, vcpu_map_buffer(NULL, 0x100000, 0x1000, VCPU_RIGHTS, NULL));
	FAILS(pc, vcpu_map_buffer(pc, 0xf0000000, 0x1000, VCPU_RIGHTS, bytes));
	FAILS(bare, vcpu_map_buffer(bare, 0x100000, 0x1000, 8, bytes));
	FAILS(bare, vcpu_map_buffer(bare, 0xf000, 0x2000, VCPU_RIGHTS, bytes));
}

ROW(vcpu_unmap)
{
	FAILS(NULL, vcpu_unmap(NULL, 0, 0x1000));
	FAILS(pc, vcpu_unmap(pc, 0, 0x1000));
	FAILS(bare, vcpu_unmap(bare, 0x100000, 0x1000));
	FAILS(bare, vcpu_unmap(bare, 0, 0));
	FAILS(bare, vcpu_unmap(bare, 1, 0x1000));
	FAILS(bare, vcpu_unmap(bare, 0xf000, 0x2000));
	FAILS(bare, vcpu_unmap(bare, 0, ~(uint64_t)0xfff));
}

ROW(vcpu_protect)
{
	FAILS(NULL, vcpu_protect(NULL, 0, 0x1000, 0));
	FAILS(pc, vcpu_protect(pc, 0, 0x1000, 0));
	FAILS(bare, vcpu_protect(bare, 0, 0x1000, 8));
	FAILS(bare, vcpu_protect(bare, 0xf000, 0x2000, 0));
	FAILS(bare, vcpu_protect(bare, 0x800, 0x1000, 0));
}

ROW(vcpu_translate)
{
	FAILS(NULL, vcpu_translate(NULL, 0, NULL));
	FAILS(bare, vcpu_translate(bare, ~(uint64_t)0, NULL));
	ck_assert_int_eq(vcpu_translate(bare, 0x10, NULL), 0);
}

ROW(vcpu_host)
{
	uint64_t len = 1;

	ck_assert_ptr_null(vcpu_host(NULL, 0, &len));
	ck_assert_ptr_null(vcpu_host(bare, 0x100000, &len));
	ck_assert_uint_eq(len, 0);
	ck_assert_ptr_nonnull(vcpu_host(bare, 0, NULL));
}

ROW(vcpu_host_written)
{
	FAILS(NULL, vcpu_host_written(NULL, 0, 1));
	FAILS(bare, vcpu_host_written(bare, 0xffff, 2));
	FAILS(bare, vcpu_host_written(bare, ~(uint64_t)0, 2));
	ck_assert_int_eq(vcpu_host_written(bare, 0x100000, 0), 0);
}

ROW(vcpu_dirty_mark) { FAILS(NULL, vcpu_dirty_mark(NULL)); }

ROW(vcpu_dirty_pages)
{
	ck_assert_uint_eq(vcpu_dirty_pages(NULL, NULL, 1), 0);
	vcpu_dirty_pages(bare, NULL, 1000);
}

ROW(vcpu_page_in)
{
	FAILS(NULL, vcpu_page_in(NULL, 0, 1, false));
	FAILS(bare, vcpu_page_in(bare, 0, 1, false)); /* no paging */
}

static const struct vcpu_device device = { .stateless = true }, half = { .state_size = 8 };

ROW(vcpu_map_device) /* and test_own_devices */
{
	FAILS(NULL, vcpu_map_device(NULL, "x", 0x100000, 0x1000, &device));
	FAILS(bare, vcpu_map_device(bare, NULL, 0x100000, 0x1000, &device));
	FAILS(bare, vcpu_map_device(bare, "", 0x100000, 0x1000, &device));
	FAILS(bare, vcpu_map_device(bare, "x", 0x100000, 0x1000, NULL));
	FAILS(bare, vcpu_map_device(bare, "x", 0x100000, 0x1000, &half));
	FAILS(bare, vcpu_map_device(bare, "x", 0x100000, 0, &device));
	FAILS(bare, vcpu_map_device(bare, "x", 0x100000, ~(uint64_t)0, &device));
	FAILS(bare, vcpu_map_device(bare, "x", ~(uint64_t)0, 1, &device));
	LATER(vcpu_device, vcpu_map_device(bare, "of its size", 0x200000, 0x1000, &later.c), IS_DONE, .stateless = true);
}
ROW(vcpu_map_ports)
{
	FAILS(NULL, vcpu_map_ports(NULL, "x", 0, 1, &device));
	FAILS(bare, vcpu_map_ports(bare, NULL, 0, 1, &device));
	FAILS(bare, vcpu_map_ports(bare, "x", 0, 1, NULL));
	FAILS(bare, vcpu_map_ports(bare, "x", 0, 0, &device));
	FAILS(bare, vcpu_map_ports(bare, "x", 1, 0x10000, &device));
	FAILS(bare, vcpu_map_ports(bare, "x", 0xffff, ~0u, &device));
}
ROW(vcpu_state_hash) { ck_assert_uint_eq(vcpu_state_hash(NULL), 0); }
ROW(vcpu_save)
{
	void *data = bytes;
	size_t len = 1;

	TELLS(vcpu_save(NULL, &data, &len, &error));
	TELLS(vcpu_save(bare, NULL, &len, &error));
	TELLS(vcpu_save(bare, &data, NULL, &error));
	ck_assert(!vcpu_save(NULL, &data, &len, NULL));
}
ROW(vcpu_load)
{
	void *data;
	size_t len;

	ck_assert(vcpu_save(bare, &data, &len, NULL));
	TELLS(vcpu_load(NULL, data, len, &error));
	TELLS(vcpu_load(bare, NULL, len, &error));
	TELLS(vcpu_load(bare, NULL, 0, &error));
	TELLS(vcpu_load(bare, data, 0, &error));
	TELLS(vcpu_load(bare, data, 31, &error));
	TELLS(vcpu_load(bare, data, len - 1, &error));
	TELLS(vcpu_load(pc, data, len, &error));
	free(data);
}
ROW(vcpu_state_parts)
{
	vcpu_state_parts(NULL, each_part, NULL);
	vcpu_state_parts(bare, NULL, NULL);
}
ROW(vcpu_screen)
{
	struct vcpu_screen screen;
	uint32_t dots[4];

	ck_assert(!vcpu_screen(NULL, &screen, NULL, 0));
	ck_assert(!vcpu_screen(pc, NULL, NULL, 0));
	ck_assert(!vcpu_screen(bare, &screen, dots, 4));
	vcpu_screen(pc, &screen, dots, 0); /* too few */
	vcpu_screen(pc, &screen, dots, 4);
}
ROW(vcpu_screen_text)
{
	char text[4] = "xxx";

	ck_assert_uint_eq(vcpu_screen_text(NULL, text, 4), 0);
	ck_assert_uint_eq(vcpu_screen_text(bare, NULL, 4), 0);
	vcpu_screen_text(pc, NULL, 0);
	vcpu_screen_text(pc, NULL, 4);
	vcpu_screen_text(pc, text, 1);
	ck_assert_str_eq(text, "");
}
ROW(vcpu_type_text)
{
	ck_assert_uint_eq(vcpu_type_text(NULL, "x"), 0);
	ck_assert_uint_eq(vcpu_type_text(pc, NULL), 0);
	ck_assert_uint_eq(vcpu_type_text(bare, "x"), 0);
	ck_assert_uint_eq(vcpu_type_text(pc, ""), 0);
}
ROW(vcpu_next_medium)
{
	FAILS(NULL, vcpu_next_medium(NULL));
	FAILS(bare, vcpu_next_medium(bare));
	FAILS(pc, vcpu_next_medium(pc));
}
ROW(vcpu_version) { ck_assert_str_ne(vcpu_version(), ""); }
ROW(vcpu_models) { ck_assert_ptr_nonnull(vcpu_models()[0]); }
ROW(vcpu_isa_row)
{
	struct vcpu_insn insn;

	ck_assert(!vcpu_isa_row(0, NULL));
	ck_assert(!vcpu_isa_row(~0u, &insn));
}
ROW(vcpu_isa_theorem)
{
	unsigned row;

	ck_assert_int_eq(vcpu_isa_theorem("80487", VCPU_MONITOR_CPL3, &row, 1), -1);
	ck_assert_int_eq(vcpu_isa_theorem(NULL, VCPU_MONITORS, &row, 1), -1);
	ck_assert_int_eq(vcpu_isa_theorem(NULL, (enum vcpu_monitor)-1, &row, 1), -1);
	ck_assert_int_eq(vcpu_isa_theorem(NULL, VCPU_MONITOR_CPL3, NULL, 1), -1);
	ck_assert_int_ge(vcpu_isa_theorem(NULL, VCPU_MONITOR_CPL3, NULL, 0), 0);
}
ROW(vcpu_isa_class)
{
	ck_assert_ptr_null(vcpu_isa_class("80487", VCPU_MONITOR_CPL3, false, 0));
	ck_assert_ptr_null(vcpu_isa_class(NULL, VCPU_MONITORS, false, 0));
	ck_assert_ptr_null(vcpu_isa_class(NULL, (enum vcpu_monitor)-1, false, 0));
	ck_assert_ptr_null(vcpu_isa_class(NULL, VCPU_MONITOR_CPL3, false, ~0u));
	ck_assert_str_eq(vcpu_isa_class(NULL, VCPU_MONITOR_CPL3, true, 0), "innocuous");
}

/* ---- vcpu_snapshot.h ---- */

ROW(vcpu_snapshot_take) { ck_assert_ptr_null(vcpu_snapshot_take(NULL)); }
ROW(vcpu_snapshot_restore)
{
	FAILS(NULL, vcpu_snapshot_restore(NULL, snapshot));
	FAILS(bare, vcpu_snapshot_restore(bare, NULL));
	FAILS(pc, vcpu_snapshot_restore(pc, snapshot));
}
ROW(vcpu_snapshot_free)
{
	vcpu_snapshot_free(NULL, snapshot);
	vcpu_snapshot_free(bare, NULL);
	vcpu_snapshot_free(pc, snapshot);
}
ROW(vcpu_template_take) { ck_assert_ptr_null(vcpu_template_take(NULL)); }
ROW(vcpu_template_machine)
{
	struct vcpu_config config = { .memory = 1 << 20 };

	ck_assert_ptr_null(vcpu_template_machine(NULL, &config, NULL));
	ck_assert_ptr_null(vcpu_template_machine(NULL, NULL, NULL));
}
ROW(vcpu_template_load)
{
	vcpu_template *t = vcpu_template_take(pc);

	ck_assert_ptr_nonnull(t);
	ck_assert(!vcpu_template_load(NULL, t, NULL));
	ck_assert(!vcpu_template_load(pc, NULL, NULL));
	ck_assert(!vcpu_template_load(bare, t, NULL));
	vcpu_template_free(t);
}
static bool write_nothing(void *user, const void *data, size_t len)
{
	(void)user, (void)data, (void)len;
	return true;
}
ROW(vcpu_dump_load)
{
	ck_assert(!vcpu_dump_load(NULL, "", 0, NULL));
	ck_assert(!vcpu_dump_load(pc, NULL, 100, NULL));
	ck_assert(!vcpu_dump_load(bare, "", 0, NULL));
}
ROW(vcpu_dump_save)
{
	ck_assert_int_eq(vcpu_dump_save(NULL, write_nothing, NULL), -1);
	ck_assert_int_eq(vcpu_dump_save(pc, NULL, NULL), -1);
	ck_assert_int_eq(vcpu_dump_save(pc, write_nothing, NULL), 0);
}
ROW(vcpu_registers_load)
{
	ck_assert(!vcpu_registers_load(NULL, "{}", 2, NULL));
	ck_assert(!vcpu_registers_load(bare, NULL, 2, NULL));
}
ROW(vcpu_registers_json)
{
	char *text = vcpu_registers_json(pc);

	ck_assert_ptr_nonnull(text);
	free(text);
	ck_assert_ptr_null(vcpu_registers_json(NULL));
}
ROW(vcpu_clone)
{
	vcpu *c = vcpu_clone(pc, NULL, NULL);

	ck_assert_ptr_nonnull(c);
	vcpu_free(c);
	ck_assert_ptr_null(vcpu_clone(NULL, NULL, NULL));
}
ROW(vcpu_template_free) { vcpu_template_free(NULL); }
ROW(vcpu_snapshot_memory) { ck_assert_uint_eq(vcpu_snapshot_memory(NULL), 0); }

/* ---- vcpu_replay.h ---- */

ROW(vcpu_where) { ck_assert_uint_eq(vcpu_where(NULL).instructions, 0); }
ROW(vcpu_record)
{
	static const struct vcpu_recording silent = { .interval = 1 }, good = { .write = append };

	FAILS(NULL, vcpu_record(NULL, &good));
	FAILS(bare, vcpu_record(bare, NULL));
	FAILS(bare, vcpu_record(bare, &silent));
	FAILS(pc, vcpu_record(pc, &good)); /* it has run */
}
ROW(vcpu_record_end)
{
	TELLS(vcpu_record_end(NULL, &error));
	TELLS(vcpu_record_end(bare, &error)); /* it is not recorded */
}
ROW(vcpu_recording_ok)
{
	ck_assert(!vcpu_recording_ok(NULL));
	ck_assert(!vcpu_recording_ok(bare));
}
ROW(vcpu_replay_open)
{
	TELLS(vcpu_replay_open(NULL, 0, &error));
	TELLS(vcpu_replay_open(NULL, 100, &error));
	TELLS(vcpu_replay_open(recording.bytes, 0, &error));
	TELLS(vcpu_replay_open(recording.bytes, 16, &error));
	TELLS(vcpu_replay_open(bytes, sizeof bytes, &error));
}
ROW(vcpu_replay_free) { vcpu_replay_free(NULL); }
ROW(vcpu_replay_cut) { ck_assert_ptr_null(vcpu_replay_cut(NULL)); }
ROW(vcpu_replay_end) { ck_assert_uint_eq(vcpu_replay_end(NULL).instructions, 0); }
ROW(vcpu_replay_config) { ck_assert_ptr_null(vcpu_replay_config(NULL)); }
ROW(vcpu_replay_machine) { TELLS(vcpu_replay_machine(NULL, NULL, NULL, &error)); }
ROW(vcpu_replay_allow)
{
	static const struct vcpu_moved no_to = { "from", NULL };
	static const struct vcpu_replay_files none = { .kernel = "x" }, lost = { .moved_count = 1 },
					      bad = { .moved = &no_to, .moved_count = 1 };

	ck_assert(!vcpu_replay_allow(NULL, &none));
	ck_assert(!vcpu_replay_allow(replay, NULL));
	ck_assert(!vcpu_replay_allow(replay, &lost));
	ck_assert(!vcpu_replay_allow(replay, &bad));
	LATER(vcpu_replay_files, vcpu_replay_allow(replay, &later.c), , .kernel = "x");
	ck_assert(vcpu_replay_allow(replay, &(struct vcpu_replay_files){ 0 }));
}
ROW(vcpu_replay_verify) { vcpu_replay_verify(NULL, true); }
ROW(vcpu_replay_engine) { vcpu_replay_engine(NULL, VCPU_ENGINE_INTERPRETER); }
ROW(vcpu_replay_run)
{
	ck_assert_int_eq(vcpu_replay_run(NULL, pc, 1).reason, VCPU_STOP_HOST);
	ck_assert_int_eq(vcpu_replay_run(replay, NULL, 1).reason, VCPU_STOP_HOST);
	ck_assert(!vcpu_replay_done(replay));
}
ROW(vcpu_replay_done) { ck_assert(vcpu_replay_done(NULL)); }
ROW(vcpu_replay_divergence) { ck_assert_ptr_null(vcpu_replay_divergence(NULL)); }
ROW(vcpu_replay_checked) { ck_assert_uint_eq(vcpu_replay_checked(NULL), 0); }

ROW(vcpu_get_registers)
{
	uint64_t values[2];

	ck_assert_int_eq(vcpu_get_registers(NULL, (int[]){ 0 }, values, 1), -1);
	ck_assert_int_eq(vcpu_get_registers(bare, NULL, values, 1), -1);
	FAILS(bare, vcpu_get_registers(bare, (int[]){ VCPU_RAX, -1 }, values, 2));
}
ROW(vcpu_set_registers)
{
	ck_assert_int_eq(vcpu_set_registers(NULL, (int[]){ 0 }, (uint64_t[]){ 0 }, 1), -1);
	ck_assert_int_eq(vcpu_set_registers(bare, (int[]){ 0 }, NULL, 1), -1);
	FAILS(bare, vcpu_set_registers(bare, (int[]){ -1 }, (uint64_t[]){ 0 }, 1));
}
ROW(vcpu_get_segment)
{
	struct vcpu_segment s;

	ck_assert_int_eq(vcpu_get_segment(NULL, VCPU_CS, &s), -1);
	FAILS(bare, vcpu_get_segment(bare, VCPU_RAX, &s));
	FAILS(bare, vcpu_get_segment(bare, VCPU_CS, NULL));
}
ROW(vcpu_set_segment)
{
	struct vcpu_segment s = { .base = 1ull << 63 };

	ck_assert_int_eq(vcpu_set_segment(NULL, VCPU_CS, &s), -1);
	FAILS(bare, vcpu_set_segment(bare, VCPU_CS, &s));
	FAILS(bare, vcpu_set_segment(bare, VCPU_CS, NULL));
	s = (struct vcpu_segment){ .limit = 0x100000 };
	FAILS(bare, vcpu_set_segment(bare, VCPU_CS, &s));
	s = (struct vcpu_segment){ .attributes = 0x100 };
	FAILS(bare, vcpu_set_segment(bare, VCPU_CS, &s));
}
ROW(vcpu_get_msr)
{
	uint64_t value;

	ck_assert_int_eq(vcpu_get_msr(NULL, 0x10, &value), -1);
	FAILS(bare, vcpu_get_msr(bare, 0x10, NULL));
	FAILS(bare, vcpu_get_msr(bare, 0x12345678, &value));
}
ROW(vcpu_set_msr)
{
	ck_assert_int_eq(vcpu_set_msr(NULL, 0x10, 0), -1);
	FAILS(bare, vcpu_set_msr(bare, 0x12345678, 0));
	FAILS(bare, vcpu_set_msr(bare, 0xc0000100, 1ull << 63)); /* FS.base: not canonical */
}

/* ---- vcpu_hook.h ---- */

static enum vcpu_hook_answer no_hook(void *user, struct vcpu_hook_event *e)
{
	(void)user, (void)e;
	return VCPU_HOOK_GO;
}

ROW(vcpu_hook_add)
{
	struct vcpu_hook h = { .kinds = VCPU_HOOK_INSN, .call = no_hook };
	struct vcpu_hook earlier = { .size = offsetof(struct vcpu_hook, map), .kinds = VCPU_HOOK_INSN, .call = no_hook,
				     .map = (uint8_t *)1, .map_size = 3 };
	int id = vcpu_hook_add(bare, &earlier);

	ck_assert_int_gt(id, 0); /* the map is beyond its end */
	ck_assert_int_eq(vcpu_hook_remove(bare, id), 0);
	LATER(vcpu_hook, id = vcpu_hook_add(bare, &later.c), IS_ID, .kinds = VCPU_HOOK_INSN, .call = no_hook);

	FAILS(NULL, vcpu_hook_add(NULL, &h));
	FAILS(bare, vcpu_hook_add(bare, NULL));
	h.kinds = ~0u;
	FAILS(bare, vcpu_hook_add(bare, &h));
	h.call = NULL;
	FAILS(bare, vcpu_hook_add(bare, &h));
}
ROW(vcpu_hook_remove)
{
	FAILS(NULL, vcpu_hook_remove(NULL, 1));
	FAILS(bare, vcpu_hook_remove(bare, 0));
	FAILS(bare, vcpu_hook_remove(bare, -1));
}

/* ---- vcpu_debug.h ---- */

ROW(vcpu_debug_new)
{
	TELLS(vcpu_debug_new(NULL, NULL, &error));
	TELLS(vcpu_debug_new(pc, NULL, &error)); /* it has one */
}
ROW(vcpu_debug_free) { vcpu_debug_free(NULL); }
ROW(vcpu_debug_limits)
{
	vcpu_debug_limits(NULL, 0, 0);
	vcpu_debug_limits(debugger, 0, 0);
}
ROW(vcpu_debug_magic) { FAILS(NULL, vcpu_debug_magic(NULL)); }
ROW(vcpu_debug_break) { FAILS(NULL, vcpu_debug_break(NULL, 0, false)); }
ROW(vcpu_debug_watch)
{
	FAILS(NULL, vcpu_debug_watch(NULL, 0, 1, true, true, true));
	FAILS(pc, vcpu_debug_watch(debugger, 0, 0, true, true, true));
	FAILS(pc, vcpu_debug_watch(debugger, 0, ~(uint64_t)0, true, true, true));
	FAILS(pc, vcpu_debug_watch(debugger, ~(uint64_t)0, 2, true, true, true));
	FAILS(pc, vcpu_debug_watch(debugger, 0, 1, true, false, false));
}
ROW(vcpu_debug_delete)
{
	FAILS(NULL, vcpu_debug_delete(NULL, 1));
	FAILS(pc, vcpu_debug_delete(debugger, 0));
	FAILS(pc, vcpu_debug_delete(debugger, -1));
	FAILS(pc, vcpu_debug_delete(debugger, 1000));
}
ROW(vcpu_debug_catch)
{
	static const struct vcpu_debug_catch nothing = { .last = 1, .write = true },
		odd = { .kinds = 1u << 31, .last = 1, .write = true },
		memory = { .kinds = VCPU_EVENT_MEMORY, .write = true },
		silent = { .kinds = VCPU_EVENT_OUTPUT, .write = true },
		empty = { .kinds = VCPU_EVENT_OUTPUT, .name = "", .write = true },
		backwards = { .kinds = VCPU_EVENT_PORT, .first = 2, .last = 1, .read = true },
		good = { .kinds = VCPU_EVENT_PORT, .last = 1, .read = true };

	FAILS(NULL, vcpu_debug_catch(NULL, &good));
	FAILS(pc, vcpu_debug_catch(debugger, NULL));
	FAILS(pc, vcpu_debug_catch(debugger, &nothing));
	FAILS(pc, vcpu_debug_catch(debugger, &odd));
	FAILS(pc, vcpu_debug_catch(debugger, &memory));
	FAILS(pc, vcpu_debug_catch(debugger, &silent));
	FAILS(pc, vcpu_debug_catch(debugger, &empty));
	FAILS(pc, vcpu_debug_catch(debugger, &backwards));
	LATER(vcpu_debug_catch, vcpu_debug_catch(debugger, &later.c), IS_ID, .kinds = VCPU_EVENT_PORT, .last = 1,
	      .read = true);
}
ROW(vcpu_debug_condition)
{
	vcpu_debug_condition(NULL, each_stop, NULL);
	vcpu_debug_condition(debugger, NULL, NULL);
}
ROW(vcpu_debug_trace)
{
	vcpu_debug_trace(NULL, 1, each_event, NULL);
	vcpu_debug_trace(debugger, ~0u, NULL, NULL);
	ck_assert_int_eq(vcpu_debug_run(debugger, 10).what, VCPU_DEBUG_MACHINE);
	vcpu_debug_step_back(debugger);
	while (vcpu_debug_step_back(debugger).what == VCPU_DEBUG_THERE)
		;
}
ROW(vcpu_debug_coverage)
{
	vcpu_debug_coverage(NULL, each_code, NULL);
	vcpu_debug_coverage(debugger, NULL, NULL);
}
ROW(vcpu_debug_run) { ERROR(vcpu_debug_run(NULL, 1)); }
ROW(vcpu_debug_step) { ERROR(vcpu_debug_step(NULL)); }
ROW(vcpu_debug_step_back)
{
	ERROR(vcpu_debug_step_back(NULL));
	ck_assert_int_eq(vcpu_debug_step_back(debugger).what, VCPU_DEBUG_START);
}
ROW(vcpu_debug_seek)
{
	ERROR(vcpu_debug_seek(NULL, (struct vcpu_place){ 0 }));
	ck_assert_int_eq(vcpu_debug_seek(debugger, (struct vcpu_place){ 0 }).what, VCPU_DEBUG_START);
}
ROW(vcpu_debug_run_back) { ERROR(vcpu_debug_run_back(NULL)); }
ROW(vcpu_debug_last_write)
{
	ERROR(vcpu_debug_last_write(NULL, 0, 1));
	ERROR(vcpu_debug_last_write(debugger, 0, 0));
	ERROR(vcpu_debug_last_write(debugger, ~(uint64_t)0, 2));
}
ROW(vcpu_debug_last_set)
{
	ERROR(vcpu_debug_last_set(NULL, VCPU_RAX));
	ERROR(vcpu_debug_last_set(debugger, VCPU_RIP));
	ERROR(vcpu_debug_last_set(debugger, VCPU_RIP + 1000000));
}
ROW(vcpu_debug_whole)
{
	unsigned first;

	ck_assert_int_eq(vcpu_debug_whole(NULL, VCPU_RAX, &first), -1);
	ck_assert_int_eq(vcpu_debug_whole(debugger, -1, &first), -1);
	ck_assert_int_eq(vcpu_debug_whole(debugger, vcpu_register_by_name("ch"), NULL), VCPU_RCX);
	ck_assert_int_eq(vcpu_debug_whole(debugger, vcpu_register_by_name("ah"), &first), VCPU_RAX);
	ck_assert_uint_eq(first, 1);
}
ROW(vcpu_debug_instruction)
{
	struct vcpu_debug_instruction in;

	ck_assert(!vcpu_debug_instruction(NULL, &in));
	ck_assert(!vcpu_debug_instruction(debugger, NULL));
}
ROW(vcpu_debug_last_event)
{
	ERROR(vcpu_debug_last_event(NULL, VCPU_EVENT_PORT, 0, 1));
	ERROR(vcpu_debug_last_event(debugger, 0, 0, 1));
	ERROR(vcpu_debug_last_event(debugger, 1u << 31, 0, 1));
	ERROR(vcpu_debug_last_event(debugger, VCPU_EVENT_PORT, 2, 1));
}
static bool never(void *user) { (void)user; called++; return true; }
ROW(vcpu_debug_progress)
{
	vcpu_debug_progress(NULL, never, NULL);
	vcpu_debug_progress(debugger, NULL, NULL);
}
ROW(vcpu_debug_start) { ck_assert_uint_eq(vcpu_debug_start(NULL).instructions, 0); }
ROW(vcpu_debug_end) { ck_assert_uint_eq(vcpu_debug_end(NULL).instructions, 0); }
ROW(vcpu_debug_fields)
{
	vcpu_debug_fields(NULL, each_field, NULL);
	vcpu_debug_fields(debugger, NULL, NULL);
}
ROW(vcpu_debug_tlb)
{
	vcpu_debug_tlb(NULL, each_translation, NULL);
	vcpu_debug_tlb(debugger, NULL, NULL);
}
static void each_operation(void *user, const struct vcpu_debug_operation *o) { (void)user, (void)o; called++; }
ROW(vcpu_debug_blocks)
{
	vcpu_debug_blocks(NULL, 0, each_operation, NULL);
	vcpu_debug_blocks(debugger, 0, NULL, NULL);
}
static void each_vmcs_field(void *user, const char *name, uint32_t encoding, uint64_t value)
{
	(void)user, (void)name, (void)encoding, (void)value;
}

ROW(vcpu_debug_vmcs)
{
	ck_assert(!vcpu_debug_vmcs(NULL, each_vmcs_field, NULL));
	ck_assert(!vcpu_debug_vmcs(debugger, NULL, NULL));
	ck_assert(!vcpu_debug_vmcs(debugger, each_vmcs_field, NULL)); /* not in VMX operation */
}

ROW(vcpu_debug_second_walk)
{
	struct vcpu_debug_second_walk walk;

	ck_assert(!vcpu_debug_second_walk(NULL, 0, 1, &walk));
	ck_assert(!vcpu_debug_second_walk(debugger, 0, 1, NULL));
	ck_assert(!vcpu_debug_second_walk(debugger, 0, 1, &walk)); /* no guest with a second level */
}

ROW(vcpu_debug_vmentry)
{
	struct vcpu_debug_check failed;

	ck_assert(!vcpu_debug_vmentry(NULL, &failed));
	ck_assert(!vcpu_debug_vmentry(debugger, NULL));
	ck_assert(!vcpu_debug_vmentry(debugger, &failed)); /* there is no current VMCS */
}

ROW(vcpu_vmcs_text)
{
	char text[4];

	ck_assert_uint_eq(vcpu_vmcs_text(0x4402, 12, NULL, 100), 3);
	ck_assert_uint_eq(vcpu_vmcs_text(0x4402, 12, text, 0), 3);
	ck_assert_uint_eq(vcpu_vmcs_text(0x4402, 12, text, sizeof text), 3);
	ck_assert_str_eq(text, "HLT");
	ck_assert_uint_eq(vcpu_vmcs_text(~0u, ~(uint64_t)0, text, sizeof text), 0);
	ck_assert_str_eq(text, "");
}

ROW(vcpu_vmexit_text)
{
	char text[5];

	ck_assert_uint_eq(vcpu_vmexit_text(28, 0x20, NULL, 100), 4);
	ck_assert_uint_eq(vcpu_vmexit_text(28, 0x20, text, 0), 4);
	ck_assert_uint_eq(vcpu_vmexit_text(28, 0x20, text, sizeof text), 4);
	ck_assert_str_eq(text, "CLTS");
	ck_assert_uint_eq(vcpu_vmexit_text(VCPU_SVM | 0x7c, 1, text, sizeof text), 5);
	ck_assert_str_eq(text, "WRMS");
	ck_assert_uint_eq(vcpu_vmexit_text(~0u, ~(uint64_t)0, text, sizeof text), 0);
	ck_assert_str_eq(text, "");
}

ROW(vcpu_vmexit_name)
{
	ck_assert_str_eq(vcpu_vmexit_name(12), "HLT");
	ck_assert_str_eq(vcpu_vmexit_name(VCPU_SVM | 0x78), "HLT");
	ck_assert_ptr_null(vcpu_vmexit_name(0xffff));
	ck_assert_ptr_null(vcpu_vmexit_name(~0u ^ VCPU_SVM));
	ck_assert_ptr_null(vcpu_vmexit_name(VCPU_SVM | 0xc0));
}

ROW(vcpu_debug_vmcb)
{
	ck_assert(!vcpu_debug_vmcb(NULL, each_vmcs_field, NULL));
	ck_assert(!vcpu_debug_vmcb(debugger, NULL, NULL));
	ck_assert(!vcpu_debug_vmcb(debugger, each_vmcs_field, NULL)); /* there was no VMRUN */
}

ROW(vcpu_debug_second_level)
{
	uint64_t at = 0;

	ck_assert(!vcpu_debug_second_level(NULL, 0, &at));
	ck_assert(!vcpu_debug_second_level(debugger, 0, NULL));
	ck_assert(vcpu_debug_second_level(debugger, 0x1234, &at) && at == 0x1234);
}

ROW(vcpu_debug_clock)
{
	vcpu_debug_clock(NULL, each_clock, NULL);
	vcpu_debug_clock(debugger, NULL, NULL);
}
ROW(vcpu_debug_translate)
{
	uint64_t physical;

	ck_assert(!vcpu_debug_translate(NULL, 0, &physical));
	ck_assert(!vcpu_debug_translate(debugger, 0, NULL));
}

/* ---- the table ---- */

#define R(name) { #name, row_##name }
static const struct { const char *name; void (*row)(void); } rows[] = {
	R(vcpu_new), R(vcpu_free), R(vcpu_stop_name), R(vcpu_run), R(vcpu_flush), R(vcpu_stop), R(vcpu_limit_time),
		R(vcpu_input), R(vcpu_instructions), R(vcpu_virtual_ns),
	R(vcpu_resident), R(vcpu_cache_counts), R(vcpu_error), R(vcpu_fault_chain), R(vcpu_register_by_name),
	R(vcpu_register_name), R(vcpu_get), R(vcpu_set),
	R(vcpu_get_vector), R(vcpu_set_vector), R(vcpu_get_st), R(vcpu_set_st), R(vcpu_processors), R(vcpu_select),
	R(vcpu_selected), R(vcpu_running), R(vcpu_hook_add), R(vcpu_hook_remove),
	R(vcpu_get_registers), R(vcpu_set_registers), R(vcpu_get_segment), R(vcpu_set_segment), R(vcpu_get_msr),
	R(vcpu_set_msr),
	R(vcpu_widest_mode), R(vcpu_kernel_bits), R(vcpu_set_mode), R(vcpu_read_physical), R(vcpu_write_physical),
	R(vcpu_read_linear), R(vcpu_write_linear),
	R(vcpu_msr_number), R(vcpu_register_size), R(vcpu_register_next), R(vcpu_get_register), R(vcpu_set_register),
	R(vcpu_map), R(vcpu_map_buffer), R(vcpu_unmap), R(vcpu_protect), R(vcpu_translate), R(vcpu_host),
	R(vcpu_host_written), R(vcpu_dirty_mark), R(vcpu_dirty_pages), R(vcpu_page_in), R(vcpu_map_device),
	R(vcpu_map_ports), R(vcpu_state_hash), R(vcpu_save), R(vcpu_load),
	R(vcpu_state_parts), R(vcpu_screen),
	R(vcpu_screen_text), R(vcpu_type_text), R(vcpu_next_medium), R(vcpu_version), R(vcpu_models), R(vcpu_isa_row),
	R(vcpu_isa_theorem), R(vcpu_isa_class),
	R(vcpu_snapshot_take), R(vcpu_snapshot_restore), R(vcpu_snapshot_free), R(vcpu_snapshot_memory),
	R(vcpu_dump_load), R(vcpu_dump_save), R(vcpu_registers_load), R(vcpu_registers_json),
	R(vcpu_clone), R(vcpu_template_take), R(vcpu_template_machine), R(vcpu_template_load), R(vcpu_template_free),
	R(vcpu_memory_counts), R(vcpu_trim),
	R(vcpu_where), R(vcpu_record), R(vcpu_record_end), R(vcpu_recording_ok), R(vcpu_replay_open),
	R(vcpu_replay_free), R(vcpu_replay_cut),
	R(vcpu_replay_end), R(vcpu_replay_config), R(vcpu_replay_machine), R(vcpu_replay_allow), R(vcpu_replay_verify),
	R(vcpu_replay_engine), R(vcpu_replay_run), R(vcpu_replay_done),
	R(vcpu_replay_divergence), R(vcpu_replay_checked),
	R(vcpu_debug_new), R(vcpu_debug_free), R(vcpu_debug_limits), R(vcpu_debug_break),
	R(vcpu_debug_magic), R(vcpu_debug_watch), R(vcpu_debug_delete),
	R(vcpu_debug_catch), R(vcpu_debug_condition), R(vcpu_debug_trace), R(vcpu_debug_coverage), R(vcpu_debug_run),
	R(vcpu_debug_step),
	R(vcpu_debug_step_back), R(vcpu_debug_seek), R(vcpu_debug_run_back), R(vcpu_debug_last_write),
	R(vcpu_debug_last_event), R(vcpu_debug_last_set),
	R(vcpu_debug_instruction), R(vcpu_debug_whole), R(vcpu_debug_progress), R(vcpu_debug_start), R(vcpu_debug_end),
	R(vcpu_debug_fields), R(vcpu_debug_tlb), R(vcpu_debug_vmcs), R(vcpu_debug_vmcb),
	R(vcpu_debug_second_level), R(vcpu_debug_second_walk),
	R(vcpu_debug_vmentry), R(vcpu_vmcs_text), R(vcpu_vmexit_name), R(vcpu_vmexit_text), R(vcpu_debug_blocks),
	R(vcpu_debug_clock), R(vcpu_debug_translate),
};
enum { ROWS = sizeof rows / sizeof *rows };

static const uint8_t sector[512] = { 0xfa, 0x40, 0xeb, 0xfd, [510] = 0x55, 0xaa }; /* cli; l: inc ax; jmp l */

static void record(void)
{
	struct vcpu_config config = { .memory = 1 << 20, .kernel_data = sector, .kernel_size = sizeof sector };
	struct vcpu_recording to = { .write = append, .embed = true };
	vcpu *v = vcpu_new(&config, NULL);

	ck_assert_int_eq(vcpu_record(v, &to), 0);
	vcpu_run(v, 100);
	ck_assert(vcpu_record_end(v, NULL));
	vcpu_free(v);
	replay = vcpu_replay_open(recording.bytes, recording.len, NULL);
	ck_assert_ptr_nonnull(replay);
}

START_TEST(arguments)
{
	struct vcpu_config of_bare = { .bare = true }, of_pc = { .memory = 4 << 20, .kernel_data = sector,
		.kernel_size = sizeof sector,
		.display = "vga", .nic = "e1000", .console = true, .share = "share", .seed = 1 };
	uint64_t hash[2];

	bare = vcpu_new(&of_bare, NULL);
	ck_assert_int_eq(vcpu_map(bare, 0, RAM), 0);
	ck_assert_int_eq(vcpu_set_mode(bare, 32), 0);
	snapshot = vcpu_snapshot_take(bare);
	pc = vcpu_new(&of_pc, NULL);
	vcpu_run(pc, 1000);
	debugger = vcpu_debug_new(pc, NULL, NULL);
	ck_assert_ptr_nonnull(debugger);
	record();
	hash[0] = vcpu_state_hash(bare);
	hash[1] = vcpu_state_hash(pc);
	rows[_i].row();
	ck_assert_msg(!called, "%s: there was nobody to call", rows[_i].name);
	ck_assert_msg(vcpu_state_hash(bare) == hash[0] && vcpu_state_hash(pc) == hash[1], "%s: the machine has changed",
		      rows[_i].name);
	vcpu_replay_free(replay);
	vcpu_debug_free(debugger);
	vcpu_free(pc);
	vcpu_free(bare);
}
END_TEST

/* How many functions of the installed header FILE have no row. */
static unsigned without_row(const char *file, unsigned *found)
{
	char line[512], name[64];
	unsigned missing = 0;
	FILE *f = fopen(file, "r");

	ck_assert_msg(f != NULL, "%s", file);
	while (fgets(line, sizeof line, f)) {
		const char *at = strstr(line, "VCPU_API ");
		int i = 0;

		if (!at || line[0] == '#')
			continue;
		at = strchr(at, '(');
		while (at && at > line && at[-1] != ' ' && at[-1] != '*')
			at--;
		ck_assert_msg(at && sscanf(at, "%63[a-z0-9_]", name) == 1, "%s: %s", file, line);
		++*found;
		while (i < ROWS && strcmp(rows[i].name, name))
			i++;
		if (i == ROWS) {
			fprintf(stderr, "%s has no row in test_arguments.c\n", name);
			missing++;
		}
	}
	fclose(f);
	return missing;
}

START_TEST(all_functions)
{
	const char *srcdir = getenv("srcdir");
	char path[4096];
	unsigned found = 0, missing = 0;
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof path, "%s/lib", srcdir ? srcdir : ".");
	dir = opendir(path);
	ck_assert_msg(dir != NULL, "%s", path);
	while ((entry = readdir(dir)))
		if (!strncmp(entry->d_name, "vcpu", 4) && strchr(entry->d_name, '.') &&
		    !strcmp(strchr(entry->d_name, '.'), ".h")) {
			snprintf(path, sizeof path, "%s/lib/%s", srcdir ? srcdir : ".", entry->d_name);
			missing += without_row(path, &found);
		}
	closedir(dir);
	ck_assert_uint_eq(missing, 0);
	ck_assert_uint_eq(found, ROWS); /* else a row is of a function that there is no more */
}
END_TEST

int main(void)
{
	Suite *s = suite_create("arguments");
	TCase *t = tcase_create("arguments");
	SRunner *runner;
	int failed;

	suite_add_tcase(s, t);
	tcase_add_loop_test(t, arguments, 0, ROWS);
	tcase_add_test(t, all_functions);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
