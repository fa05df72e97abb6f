/* SPDX-License-Identifier: MIT */
/* In the callbacks of devices and of output: where the machine stands, what can be asked of it there, and what is
 * refused. The right values are the processor's: the address of an instruction is where its bytes are, and stopping, or
 * reading a register, changes nothing of what it does. */
#include <check.h>
#include <stdlib.h>
#include "lib/vcpu_debug.h"
#include "lib/vcpu_dump.h"
#include "lib/vcpu_snapshot.h"

#define CODE(...) (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })
enum { AT = 0x1000, STACK = 0x8000, TARGET = 0x3000, PORT = 0x10 };
#define DEVICE 0x80000000u

static vcpu *v;

/* What the device does when it is called. */
static struct device {
	enum what { LOOK, STOP, GO, ODD } what;
	unsigned calls;
	uint64_t rip, instructions, rax, value;
	int set;
	void (*odd)(void);
} dev;

static void called(void)
{
	dev.calls++;
	dev.rip = vcpu_get(v, VCPU_RIP);
	dev.instructions = vcpu_instructions(v);
	dev.rax = vcpu_get(v, VCPU_RAX);
	switch (dev.what) {
	case LOOK: break;
	case STOP: vcpu_stop(v); break;
	case GO: dev.set = vcpu_set(v, VCPU_RIP, TARGET); break;
	case ODD: dev.odd(); break;
	}
}

static uint64_t device_read(void *user, uint64_t offset, unsigned size)
{
	(void)user, (void)offset, (void)size;
	called();
	return dev.value;
}

static void device_write(void *user, uint64_t offset, unsigned size, uint64_t value)
{
	(void)user, (void)offset, (void)size, (void)value;
	called();
}

static const struct vcpu_device device = { .read = device_read, .write = device_write, .stateless = true };

/* 64-bit code at AT, and `hlt' at TARGET; the device in memory and at ports. */
static void make(const uint8_t *code, size_t len)
{
	struct vcpu_config config = { .bare = true };

	dev = (struct device){ .value = TARGET + 0x100 };
	v = vcpu_new(&config, NULL);
	ck_assert_int_eq(vcpu_map(v, 0, 0x10000), 0);
	ck_assert_int_eq(vcpu_set_mode(v, 64), 0);
	ck_assert_int_eq(vcpu_map_device(v, "memory", DEVICE, 0x1000, &device), 0);
	ck_assert_int_eq(vcpu_map(v, DEVICE + 0x1000, 0x1000), 0);
	ck_assert_int_eq(vcpu_map_ports(v, "ports", PORT, 16, &device), 0);
	ck_assert_uint_eq(vcpu_write_physical(v, AT, code, len), len);
	vcpu_write_physical(v, TARGET, "\xf4", 1);
	vcpu_write_physical(v, TARGET + 0x100, "\xf4", 1);
	vcpu_set(v, VCPU_RIP, AT);
	vcpu_set(v, VCPU_RSP, STACK);
	vcpu_set(v, VCPU_RBX, DEVICE);
	vcpu_set(v, VCPU_RSI, DEVICE + 0x100);
	vcpu_set(v, VCPU_RDI, 0x7000);
	vcpu_set(v, VCPU_RDX, PORT);
	vcpu_set(v, VCPU_RCX, 3);
}

/* Ways of touching a device, each behind the 5 bytes of MOV EAX, 1: their bytes; how many of them come before the
 * instruction that does it, and how many instructions that are; where it goes on (0: behind it); how often the device
 * is called. */
static const struct way { const char *name; uint8_t bytes[16]; unsigned len, at, before; uint64_t next; unsigned calls;
	} ways[] = {
	{ "out imm8, al", { 0xe6, PORT }, 2, .calls = 1 },
	{ "out dx, eax", { 0xef }, 1, .calls = 1 },
	{ "in al, imm8", { 0xe4, PORT }, 2, .calls = 1 },
	{ "in eax, dx", { 0xed }, 1, .calls = 1 },
	{ "mov [rbx], eax", { 0x89, 0x03 }, 2, .calls = 1 },
	{ "mov eax, [rbx]", { 0x8b, 0x03 }, 2, .calls = 1 },
	{ "mov eax, [rbx + 4 * rcx]", { 0x8b, 0x04, 0x8b }, 3, .calls = 1 },
	{ "mov fs: [rbx], al", { 0x64, 0x88, 0x03 }, 3, .calls = 1 },
	{ "mov rax, [rbx + ff9h], over the end", { 0x48, 0x8b, 0x83, 0xf9, 0x0f, 0, 0 }, 7, .calls = 7 },
	{ "movzx eax, byte [rbx]", { 0x0f, 0xb6, 0x03 }, 3, .calls = 1 },
	{ "mov al, [moffs]", { 0xa0, 0, 0, 0, 0x80, 0, 0, 0, 0 }, 9, .calls = 1 },
	{ "add [rbx], eax", { 0x01, 0x03 }, 2, .calls = 2 },
	{ "add eax, [rbx]", { 0x03, 0x03 }, 2, .calls = 1 },
	{ "lock xadd [rbx], eax", { 0xf0, 0x0f, 0xc1, 0x03 }, 4, .calls = 2 },
	{ "xchg [rbx], eax", { 0x87, 0x03 }, 2, .calls = 2 },
	{ "cmpxchg8b [rbx]", { 0x0f, 0xc7, 0x0b }, 3, .calls = 2 },
	{ "inc dword [rbx]", { 0xff, 0x03 }, 2, .calls = 2 },
	{ "shl dword [rbx], 2", { 0xc1, 0x23, 2 }, 3, .calls = 2 },
	{ "bts [rbx], eax", { 0x0f, 0xab, 0x03 }, 3, .calls = 2 },
	{ "imul eax, [rbx], 3", { 0x6b, 0x03, 3 }, 3, .calls = 1 },
	{ "cmp [rbx], eax; jnz", { 0x39, 0x03, 0x75, 0x00 }, 4, .next = AT + 5 + 2, .calls = 1 },
	{ "test byte [rbx], 1; jz", { 0xf6, 0x03, 1, 0x74, 0x00 }, 5, .next = AT + 5 + 3, .calls = 1 },
	{ "push qword [rbx]", { 0xff, 0x33 }, 2, .calls = 1 },
	{ "pop qword [rbx]", { 0x8f, 0x03 }, 2, .calls = 1 },
	{ "push rax, onto the device", { 0x48, 0x89, 0xf4, 0x50 }, 4, 3, 1, .calls = 1 },
	{ "pop rax, off the device", { 0x48, 0x89, 0xf4, 0x58 }, 4, 3, 1, .calls = 1 },
	{ "enter 0, 0, onto the device", { 0x48, 0x89, 0xf4, 0xc8, 0, 0, 0 }, 7, 3, 1, .calls = 1 },
	{ "jmp [rbx]", { 0xff, 0x23 }, 2, .next = TARGET + 0x100, .calls = 1 },
	{ "call [rbx]", { 0xff, 0x13 }, 2, .next = TARGET + 0x100, .calls = 1 },
	{ "call, onto the device", { 0x48, 0x89, 0xf4, 0xe8, 0, 0, 0, 0 }, 8, 3, 1, .calls = 1 },
	{ "ret, off the device", { 0x48, 0x89, 0xdc, 0xc3 }, 4, 3, 1, .next = TARGET + 0x100, .calls = 1 },
	{ "movsd", { 0xa5 }, 1, .calls = 1 },
	{ "lodsb", { 0xac }, 1, .calls = 1 },
	{ "rep movsb", { 0xf3, 0xa4 }, 2, .calls = 3 },
	{ "rep insb", { 0xf3, 0x6c }, 2, .calls = 3 },
	{ "rep outsb", { 0xf3, 0x6e }, 2, .calls = 6 },
	{ "repne scasb at the device", { 0x48, 0x87, 0xf7, 0xf2, 0xae }, 5, 3, 1, .calls = 3 },
	{ "fld dword [rbx]", { 0xd9, 0x03 }, 2, .calls = 1 },
	{ "fnsave [rbx]", { 0xdd, 0x33 }, 2, .calls = 108 },
	{ "fxsave [rbx]", { 0x0f, 0xae, 0x03 }, 3, .calls = 416 },
	{ "movups xmm0, [rbx]", { 0x0f, 0x10, 0x03 }, 3, .calls = 16 },
	{ "movaps [rbx], xmm0", { 0x0f, 0x29, 0x03 }, 3, .calls = 16 },
	{ "addps xmm0, [rbx]", { 0x0f, 0x58, 0x03 }, 3, .calls = 16 },
	{ "stmxcsr [rbx]", { 0x0f, 0xae, 0x1b }, 3, .calls = 1 },
	{ "sgdt [rbx]", { 0x0f, 0x01, 0x03 }, 3, .calls = 10 },
	{ "movnti [rbx], eax", { 0x0f, 0xc3, 0x03 }, 3, .calls = 1 },
	{ "mov [rbx], imm32", { 0xc7, 0x03, 1, 0, 0, 0 }, 6, .calls = 1 },
	{ "mov [rbx], ds", { 0x8c, 0x1b }, 2, .calls = 1 },
	{ "setc [rbx]", { 0x0f, 0x92, 0x03 }, 3, .calls = 1 },
	{ "cmovc eax, [rbx]", { 0x0f, 0x42, 0x03 }, 3, .calls = 1 },
};
#define WAYS ((int)(sizeof ways / sizeof *ways))

static void make_way(const struct way *w, enum what what)
{
	uint8_t code[64] = { 0xb8, 1, 0, 0, 0 };

	memcpy(code + 5, w->bytes, w->len);
	memcpy(code + 5 + w->len, "\xbd\x07\0\0\0\xf4", 6); /* mov ebp, 7; hlt */
	make(code, 5 + w->len + 6);
	dev.what = what;
}

/* Where it is when the device is called, however the run is cut; nobody has to ask. */
START_TEST(place)
{
	const struct way *w = &ways[_i];
	uint64_t hash[3];

	for (int i = 0; i < 3; i++) { /* in one piece; step by step; with a debugger */
		vcpu_debug *d = NULL;

		make_way(w, LOOK);
		if (i == 0)
			ck_assert_int_eq(vcpu_run(v, 100).reason, VCPU_STOP_IDLE);
		if (i == 1)
			while (vcpu_run(v, 1).reason == VCPU_STOP_LIMIT)
				;
		if (i == 2) {
			d = vcpu_debug_new(v, NULL, NULL);
			ck_assert_int_ge(vcpu_debug_watch(d, AT, 1, false, true, true), 0);
			ck_assert_int_eq(vcpu_debug_run(d, 100).machine.reason, VCPU_STOP_IDLE);
		}
		ck_assert_msg(dev.calls == w->calls, "%s: %u calls", w->name, dev.calls);
		ck_assert_msg(dev.rip == AT + 5 + w->at, "%s: at %llx", w->name, (unsigned long long)dev.rip);
		ck_assert_uint_eq(dev.instructions, 1 + w->before);
		ck_assert_uint_eq(dev.rax, 1);
		vcpu_debug_free(d);
		hash[i] = vcpu_state_hash(v);
		vcpu_free(v);
	}
	ck_assert_uint_eq(hash[0], hash[1]);
	ck_assert_uint_eq(hash[0], hash[2]);
}
END_TEST

START_TEST(stop)
{
	const struct way *w = &ways[_i];
	uint64_t next = w->next ? w->next : AT + 5 + w->len, hash;

	make_way(w, LOOK);
	vcpu_run(v, 100);
	hash = vcpu_state_hash(v);
	vcpu_free(v);
	make_way(w, STOP);
	ck_assert_msg(vcpu_run(v, 100).reason == VCPU_STOP_REQUEST, "%s", w->name);
	ck_assert_msg(vcpu_get(v, VCPU_RIP) == next, "%s: stops at %llx", w->name,
		      (unsigned long long)vcpu_get(v, VCPU_RIP));
	ck_assert_uint_eq(vcpu_instructions(v), 2 + w->before);
	ck_assert_int_eq(vcpu_run(v, 100).reason, VCPU_STOP_IDLE); /* once */
	ck_assert_uint_eq(vcpu_state_hash(v), hash);
	vcpu_free(v);
	/* Where the limit is in the same place. */
	make_way(w, STOP);
	ck_assert_int_eq(vcpu_run(v, 2 + w->before).reason, VCPU_STOP_REQUEST);
	ck_assert_int_eq(vcpu_run(v, 100).reason, VCPU_STOP_IDLE);
	ck_assert_uint_eq(vcpu_state_hash(v), hash);
	vcpu_free(v);
}
END_TEST

START_TEST(go)
{
	const struct way *w = &ways[_i];

	for (int i = 0; i < 2; i++) {
		make_way(w, i ? LOOK : GO);
		if (i) { /* decoded already */
			vcpu_run(v, 2 + w->before);
			vcpu_set(v, VCPU_RIP, AT);
			vcpu_set(v, VCPU_RSP, STACK);
			vcpu_set(v, VCPU_RCX, 3);
			vcpu_set(v, VCPU_RSI, DEVICE + 0x100);
			vcpu_set(v, VCPU_RDI, 0x7000);
			dev.what = GO;
		}
		ck_assert_int_eq(vcpu_run(v, 100).reason, VCPU_STOP_IDLE);
		ck_assert_int_eq(dev.set, 0);
		ck_assert_msg(vcpu_get(v, VCPU_RIP) == TARGET + 1, "%s: ends at %llx", w->name,
			      (unsigned long long)vcpu_get(v, VCPU_RIP));
		ck_assert_uint_ne(vcpu_get(v, VCPU_RBP), 7);
		ck_assert_uint_eq(vcpu_instructions(v), i ? 5 + 2 * w->before : 3 + w->before);
		vcpu_free(v);
	}
}
END_TEST

/* A repetition goes on by parts of 4096 elements, and each is an instruction. */
START_TEST(repetition)
{
	make(CODE(0xb8, 1, 0, 0, 0, 0xf3, 0x6e, 0xf4)); /* mov eax, 1; rep outsb; hlt */
	vcpu_set(v, VCPU_RCX, 10000);
	vcpu_set(v, VCPU_RSI, 0);
	dev.what = STOP;
	for (unsigned i = 1; i < 3; i++) {
		ck_assert_int_eq(vcpu_run(v, 100).reason, VCPU_STOP_REQUEST);
		ck_assert_uint_eq(dev.calls, 4096 * i);
		ck_assert_uint_eq(dev.rip, AT + 5);
		ck_assert_uint_eq(dev.instructions, i);
		ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), AT + 5);
		ck_assert_uint_eq(vcpu_get(v, VCPU_RCX), 10000 - 4096 * i);
	}
	dev.what = GO;
	ck_assert_int_eq(vcpu_run(v, 100).reason, VCPU_STOP_IDLE);
	ck_assert_uint_eq(dev.calls, 10000);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), TARGET + 1);
	vcpu_free(v);
}
END_TEST

/* A fault after the device was asked: its handler comes, here the caller. */
START_TEST(go_and_fault)
{
	make(CODE(0xf6, 0x33, 0xf4)); /* div byte [rbx]; hlt */
	dev.what = GO;
	dev.value = 0;
	ck_assert_int_eq(vcpu_run(v, 100).reason, VCPU_STOP_EXCEPTION);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), AT);
	dev.what = LOOK;
	dev.value = 1;
	ck_assert_int_eq(vcpu_run(v, 100).reason, VCPU_STOP_IDLE);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), AT + 3); /* it has been forgotten */
	vcpu_free(v);
}
END_TEST

static int odd_result[8];

static void odd_fetch(void)
{
	odd_result[0] = vcpu_set(v, VCPU_RIP, TARGET);
	odd_result[1] = vcpu_set(v, VCPU_RAX, 5);
	odd_result[2] = vcpu_set(v, VCPU_CR3, 0x1000);
}

/* Code that is fetched from a device: no instruction is under way. */
START_TEST(fetch)
{
	make(CODE(0xb8, 1, 0, 0, 0, 0xff, 0xe3)); /* mov eax, 1; jmp rbx */
	dev.what = ODD;
	dev.odd = odd_fetch;
	dev.value = 0xf4;
	ck_assert_int_eq(vcpu_run(v, 100).reason, VCPU_STOP_IDLE);
	ck_assert_uint_eq(dev.rip, DEVICE);
	ck_assert_uint_eq(dev.instructions, 2);
	ck_assert_int_eq(odd_result[0], -1);
	ck_assert_int_eq(odd_result[1], 0);
	ck_assert_int_eq(odd_result[2], -1);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), DEVICE + 1);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RAX), 5);
	vcpu_free(v);
}
END_TEST

/* A stack that is a device, while a fault or a software interrupt is delivered. */
START_TEST(delivery)
{
	uint8_t gate[16] = { TARGET & 0xff, TARGET >> 8, 0x10, 0, 0, 0x8e }, idtr[10] = { 0xff, 0x0f, 0, 0x60 };
	uint8_t gdt[24] = { [16] = 0, 0, 0, 0, 0, 0x9b, 0x20, 0 }, gdtr[10] = { sizeof gdt - 1, 0, 0, 0x68 };

	/* lidt [5000]; lgdt [5010]; mov rsp, rsi; ud2 or int 6 */
	make(CODE(0x0f, 0x01, 0x1c, 0x25, 0, 0x50, 0, 0, 0x0f, 0x01, 0x14, 0x25, 0x10, 0x50, 0, 0, 0x48, 0x89, 0xf4,
		  0x0f, 0x0b));
	if (_i)
		vcpu_write_physical(v, AT + 19, "\xcd\x06", 2);
	vcpu_write_physical(v, 0x5000, idtr, sizeof idtr);
	vcpu_write_physical(v, 0x5010, gdtr, sizeof gdtr);
	vcpu_write_physical(v, 0x6800, gdt, sizeof gdt);
	vcpu_write_physical(v, 0x6000 + 16 * 6, gate, sizeof gate);
	dev.what = _i ? LOOK : ODD;
	dev.odd = odd_fetch;
	ck_assert_int_eq(vcpu_run(v, 100).reason, VCPU_STOP_IDLE);
	ck_assert_uint_eq(dev.calls, 5);
	ck_assert_uint_eq(dev.rip, AT + 19);
	ck_assert_uint_eq(dev.instructions, 3);
	if (!_i) {
		ck_assert_int_eq(odd_result[0], -1);
		ck_assert_int_eq(odd_result[2], -1);
	}
	ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), TARGET + 1);
	vcpu_free(v);
}
END_TEST

/* ---- the rest of the library ---- */

static void *state;
static size_t state_len;
static vcpu_snapshot *shot;
static unsigned parts_seen;

static void count_part(void *user, const char *part, uint64_t hash) { (void)user, (void)part, (void)hash; parts_seen++;
	}
static bool write_nothing(void *user, const void *data, size_t len) { (void)user, (void)data, (void)len; return true; }

/* Calls that leave their reason in *ERROR or in the machine. */
static void refused_more(void)
{
	char *error = NULL;

	ck_assert_ptr_null(vcpu_clone(v, NULL, &error));
	ck_assert_ptr_nonnull(strstr(error, "vcpu_clone"));
	free(error);
	ck_assert(!vcpu_dump_load(v, "", 0, &error));
	ck_assert_ptr_nonnull(strstr(error, "vcpu_dump_load"));
	free(error);
	ck_assert_int_eq(vcpu_dump_save(v, write_nothing, NULL), -1);
	ck_assert_ptr_nonnull(strstr(vcpu_error(v), "vcpu_dump_save"));
	ck_assert(!vcpu_registers_load(v, "{}", 2, &error));
	ck_assert_ptr_nonnull(strstr(error, "vcpu_registers_load"));
	free(error);
	ck_assert_ptr_null(vcpu_template_take(v));
	ck_assert_ptr_nonnull(strstr(vcpu_error(v), "vcpu_template_take"));
	ck_assert_uint_eq(vcpu_trim(v), 0);
	ck_assert_ptr_nonnull(strstr(vcpu_error(v), "vcpu_trim"));
	ck_assert_uint_eq(vcpu_type_text(v, "x"), 0);
	ck_assert_int_eq(vcpu_next_medium(v), -1);
}

static void refused(void)
{
	struct vcpu_recording recording = { .write = write_nothing };
	void *data = &state;
	size_t len = 1;
	char *error = NULL;

	if (dev.calls > 1)
		return;
	vcpu_free(v);
	ck_assert_ptr_nonnull(strstr(vcpu_error(v), "vcpu_free"));
	ck_assert_int_eq(vcpu_run(v, 100).reason, VCPU_STOP_HOST);
	ck_assert_ptr_nonnull(strstr(vcpu_error(v), "vcpu_run"));
	ck_assert(!vcpu_save(v, &data, &len, &error));
	ck_assert_ptr_nonnull(strstr(error, "vcpu_save"));
	ck_assert_ptr_null(data);
	free(error);
	ck_assert(!vcpu_load(v, state, state_len, &error));
	ck_assert_ptr_nonnull(strstr(error, "vcpu_load"));
	free(error);
	ck_assert_ptr_null(vcpu_snapshot_take(v));
	ck_assert_ptr_nonnull(strstr(vcpu_error(v), "vcpu_snapshot_take"));
	ck_assert_int_eq(vcpu_snapshot_restore(v, shot), -1);
	ck_assert_ptr_nonnull(strstr(vcpu_error(v), "vcpu_snapshot_restore"));
	ck_assert_uint_eq(vcpu_state_hash(v), 0);
	vcpu_state_parts(v, count_part, NULL);
	ck_assert_uint_eq(parts_seen, 0);
	ck_assert_int_eq(vcpu_input(v, VCPU_COM1, "x", 1), -1);
	ck_assert_int_eq(vcpu_set_mode(v, 32), -1);
	ck_assert_int_eq(vcpu_flush(v), -1);
	refused_more();
	ck_assert_int_eq(vcpu_record(v, &recording), -1);
	vcpu_record_end(v, NULL);
	ck_assert_ptr_null(vcpu_debug_new(v, NULL, &error));
	ck_assert_ptr_nonnull(error);
	free(error);
}

/* What would pull the ground from under the instruction says no, and the run is what it would have been. */
START_TEST(refusals)
{
	uint64_t hash;

	for (int i = 0; i < 2; i++) {
		make(CODE(0xb8, 1, 0, 0, 0, 0xe6, PORT, 0xf4));
		ck_assert(vcpu_save(v, &state, &state_len, NULL));
		shot = vcpu_snapshot_take(v);
		parts_seen = 0;
		dev.what = i ? ODD : LOOK;
		dev.odd = refused;
		ck_assert_int_eq(vcpu_run(v, 100).reason, VCPU_STOP_IDLE);
		if (i)
			ck_assert_uint_eq(vcpu_state_hash(v), hash);
		hash = vcpu_state_hash(v);
		ck_assert_uint_ne(hash, 0);
		vcpu_snapshot_free(v, shot);
		vcpu_free(v);
		free(state);
	}
}
END_TEST

static vcpu_debug *debugger;

static void refused_debug(void)
{
	struct vcpu_debug_catch catch = { .kinds = VCPU_EVENT_PORT, .last = ~(uint64_t)0, .write = true };
	uint64_t physical;

	ck_assert_int_eq(vcpu_debug_run(debugger, 10).what, VCPU_DEBUG_ERROR);
	ck_assert_int_eq(vcpu_debug_step(debugger).what, VCPU_DEBUG_ERROR);
	ck_assert_int_eq(vcpu_debug_step_back(debugger).what, VCPU_DEBUG_ERROR);
	ck_assert_int_eq(vcpu_debug_run_back(debugger).what, VCPU_DEBUG_ERROR);
	ck_assert_int_eq(vcpu_debug_seek(debugger, vcpu_debug_start(debugger)).what, VCPU_DEBUG_ERROR);
	ck_assert_int_eq(vcpu_debug_last_write(debugger, AT, 1).what, VCPU_DEBUG_ERROR);
	ck_assert_int_eq(vcpu_debug_break(debugger, AT, false), -1);
	ck_assert_int_eq(vcpu_debug_magic(debugger), -1);
	ck_assert_int_eq(vcpu_debug_watch(debugger, AT, 1, true, true, true), -1);
	ck_assert_int_eq(vcpu_debug_catch(debugger, &catch), -1);
	ck_assert_int_eq(vcpu_debug_delete(debugger, 1), -1);
	vcpu_debug_free(debugger);
	vcpu_free(v);
	ck_assert(vcpu_debug_translate(debugger, AT, &physical));
}

static bool refused_condition(void *user, const struct vcpu_debug_stop *at)
{
	(void)user, (void)at;
	refused_debug();
	odd_result[3]++;
	return false;
}

static void seen_event(void *user, const struct vcpu_debug_event *event)
{
	(void)user;
	refused_debug();
	ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), event->rip);
	ck_assert_uint_eq(vcpu_instructions(v), event->instructions);
	odd_result[4]++;
}

static void seen_code(void *user, uint64_t address, unsigned size)
{
	(void)user, (void)address, (void)size;
	refused_debug();
	odd_result[5]++;
}

START_TEST(refusals_of_a_debugger)
{
	/* mov eax, 1; out; mov [7000], eax; hlt */
	make(CODE(0xb8, 1, 0, 0, 0, 0xe6, PORT, 0x89, 0x04, 0x25, 0, 0x70, 0, 0, 0xf4));
	dev.what = ODD;
	dev.odd = refused_debug;
	debugger = vcpu_debug_new(v, NULL, NULL);
	memset(odd_result, 0, sizeof odd_result);
	ck_assert_int_eq(vcpu_debug_break(debugger, AT + 7, false), 1);
	vcpu_debug_condition(debugger, refused_condition, NULL);
	vcpu_debug_trace(debugger, VCPU_EVENT_PORT | VCPU_EVENT_MEMORY, seen_event, NULL);
	vcpu_debug_coverage(debugger, seen_code, NULL);
	ck_assert_int_eq(vcpu_debug_run(debugger, 100).machine.reason, VCPU_STOP_IDLE);
	ck_assert_uint_eq(dev.calls, 1);
	ck_assert_int_eq(odd_result[3], 1);
	ck_assert_int_eq(odd_result[4], 2);
	ck_assert_int_ge(odd_result[5], 1);
	vcpu_debug_free(debugger);
	vcpu_free(v);
}
END_TEST

static void works(void)
{
	static const struct vcpu_device none = { .user = NULL };

	if (dev.calls > 1)
		return;
	odd_result[0] = vcpu_map(v, 0x200000, 0x1000);
	odd_result[1] = vcpu_map_device(v, "another", DEVICE + 0x1000, 0x1000, &none);
	odd_result[2] = vcpu_map_ports(v, "more", 0x40, 2, &none);
	vcpu_write_physical(v, AT + 7, "\xbd\x09", 2); /* the instruction behind: mov ebp, 9 */
	vcpu_write_linear(v, 0x200000, "\x2a", 1);
	odd_result[3] = vcpu_set(v, VCPU_RDI, 0x200000);
	odd_result[4] = vcpu_set(v, VCPU_RFLAGS, 3);
	odd_result[5] = vcpu_select(v, 0);
	odd_result[6] = vcpu_set(v, VCPU_DR7, 0x401);
}

START_TEST(what_works)
{
	/* mov eax, 1; out; mov ebp, 7; mov eax, [rdi]; setc cl; hlt */
	make(CODE(0xb8, 1, 0, 0, 0, 0xe6, PORT, 0xbd, 7, 0, 0, 0, 0x8b, 0x07, 0x0f, 0x92, 0xc1, 0xf4));
	dev.what = ODD;
	dev.odd = works;
	ck_assert_int_eq(vcpu_run(v, 100).reason, VCPU_STOP_IDLE);
	for (int i = 0; i < 7; i++)
		ck_assert_msg(odd_result[i] == 0, "%d: %s", i, vcpu_error(v));
	ck_assert_uint_eq(vcpu_get(v, VCPU_RBP), 9);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RAX), 0x2a);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RCX), 1);
	vcpu_free(v);
}
END_TEST

static void to_another_segment(void)
{
	odd_result[0] = vcpu_set(v, VCPU_CS, 0x200);
}

/* A selector that is set takes effect behind the instruction, too. */
START_TEST(code_segment)
{
	struct vcpu_config config = { .bare = true };

	dev = (struct device){ .what = ODD, .odd = to_another_segment };
	v = vcpu_new(&config, NULL);
	vcpu_map(v, 0, 0x10000);
	vcpu_set_mode(v, 16);
	vcpu_map_ports(v, "ports", PORT, 16, &device);
	vcpu_write_physical(v, AT, "\xe6\x10\xb0\x01\xf4", 5);          /* out 10h, al; mov al, 1; hlt */
	vcpu_write_physical(v, AT + 0x2000, "\xf4\xf4\xb0\x02\xf4", 5);
	vcpu_set(v, VCPU_RIP, AT);
	ck_assert_int_eq(vcpu_run(v, 100).reason, VCPU_STOP_IDLE);
	ck_assert_int_eq(odd_result[0], 0);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), AT + 5);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RAX) & 0xff, 2);
	vcpu_free(v);
}
END_TEST

/* ---- output ---- */

static void output(void *user, enum vcpu_channel channel, const void *data, size_t len)
{
	(void)user, (void)data, (void)len;
	if (channel == VCPU_DEBUGCON || channel == VCPU_LOG) {
		called();
		if (channel == VCPU_LOG)
			odd_result[0]++;
	}
}

START_TEST(outputs)
{
	/* A boot sector: mov al, 'x'; out e9h, al; mov ecx, 12345h; rdmsr, which is logged and faults. */
	static const uint8_t sector[512] = { 0xb0, 'x',  0xe6, 0xe9, 0x66, 0xb9,         0x45,
					     0x23, 0x01, 0x00, 0x0f, 0x32, [510] = 0x55, 0xaa };
	struct vcpu_config config = {
		.memory = 1 << 20, .kernel_data = sector, .kernel_size = sizeof sector, .output = output
	};

	dev = (struct device){ .what = STOP };
	odd_result[0] = 0;
	v = vcpu_new(&config, NULL);
	ck_assert_int_eq(vcpu_run(v, 100).reason, VCPU_STOP_REQUEST);
	ck_assert_uint_eq(dev.rip, 0x7c02);
	ck_assert_uint_eq(dev.instructions, 1);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), 0x7c04);
	dev = (struct device){ .what = ODD, .odd = refused };
	parts_seen = 0;
	vcpu_run(v, 2);
	ck_assert_int_eq(odd_result[0], 1);
	ck_assert_uint_eq(dev.rip, 0x7c0a);
	ck_assert_uint_eq(dev.instructions, 3);
	vcpu_free(v);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("callbacks");
	TCase *t = tcase_create("callbacks");
	SRunner *runner;
	int failed;

	suite_add_tcase(s, t);
	tcase_add_loop_test(t, place, 0, WAYS);
	tcase_add_loop_test(t, stop, 0, WAYS);
	tcase_add_loop_test(t, go, 0, WAYS);
	tcase_add_test(t, repetition);
	tcase_add_test(t, go_and_fault);
	tcase_add_test(t, fetch);
	tcase_add_loop_test(t, delivery, 0, 2);
	tcase_add_test(t, refusals);
	tcase_add_test(t, refusals_of_a_debugger);
	tcase_add_test(t, what_works);
	tcase_add_test(t, code_segment);
	tcase_add_test(t, outputs);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
