/* SPDX-License-Identifier: MIT */
/* The public calls on small guests, whose results can be read off the manual. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "lib/vcpu.h"

#define CODE(...) (const unsigned char[]){ __VA_ARGS__ }, sizeof (const unsigned char[]){ __VA_ARGS__ }

static vcpu *bare(const char *model, unsigned bits, uint64_t at, const unsigned char *code, size_t len)
{
	struct vcpu_config config = { .bare = true, .cpu = model };
	char *error = NULL;
	vcpu *v = vcpu_new(&config, &error);

	ck_assert_msg(v != NULL, "%s", error);
	ck_assert_int_eq(vcpu_map(v, at & ~(uint64_t)0xfff, 0x10000), 0);
	ck_assert_int_eq(vcpu_set_mode(v, bits), 0);
	ck_assert_uint_eq(vcpu_write_physical(v, at, code, len), len);
	ck_assert_int_eq(vcpu_set(v, VCPU_RIP, at), 0);
	return v;
}

/* A boot sector with CODE, in a PC of 2 MiB. */
static vcpu *pc(const char *model, const unsigned char *code, size_t len, struct vcpu_config config)
{
	unsigned char sector[512] = { [510] = 0x55, 0xaa };
	char *error = NULL;
	vcpu *v;

	memcpy(sector, code, len);
	config.cpu = model;
	config.memory = model && (!strcmp(model, "8086") || !strcmp(model, "186")) ? 1 << 20 : 2 << 20;
	config.kernel_data = sector;
	config.kernel_size = sizeof sector;
	v = vcpu_new(&config, &error);
	ck_assert_msg(v != NULL, "%s", error);
	return v;
}

START_TEST(bare_64)
{
	/* mov rax, 0x1122334455667788; bswap rax; add rax, 1; hlt */
	vcpu *v = bare(NULL, 64, 0x200000,
		       CODE(0x48, 0xb8, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0x48, 0x0f, 0xc8, 0x48, 0x83,
			    0xc0, 1, 0xf4));
	struct vcpu_stop stop = vcpu_run(v, 100);

	ck_assert_int_eq(stop.reason, VCPU_STOP_IDLE);
	ck_assert_uint_eq(vcpu_instructions(v), 4);
	ck_assert_uint_eq(vcpu_virtual_ns(v), 4);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RAX), 0x8877665544332212);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), 0x200012);
	vcpu_free(v);
}
END_TEST

/* As vcpu_set_mode says: x87 and SSE at once, AVX by OSXSAVE and XCR0. fld1; xorps xmm0, xmm0; vxorps ymm0, ymm0, ymm0;
 * hlt */
START_TEST(bare_64_vectors)
{
	vcpu *v = bare(NULL, 64, 0x200000, CODE(0xd9, 0xe8, 0x0f, 0x57, 0xc0, 0xc5, 0xfc, 0x57, 0xc0, 0xf4));
	struct vcpu_stop stop = vcpu_run(v, 100);

	ck_assert_int_eq(stop.reason, VCPU_STOP_EXCEPTION);
	ck_assert_uint_eq(stop.code, 6);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), 0x200005);
	ck_assert_int_eq(vcpu_set(v, VCPU_CR4, vcpu_get(v, VCPU_CR4) | 1 << 18), 0);
	ck_assert_int_eq(vcpu_set(v, VCPU_XCR0, 7), 0);
	ck_assert_int_eq(vcpu_run(v, 100).reason, VCPU_STOP_IDLE);
	vcpu_free(v);
}
END_TEST

START_TEST(bare_64_without_large_pages)
{
	/* the identity map of a model that has no 1 GiB pages: mov [rbx], al; hlt */
	vcpu *v = bare("x86-64", 64, 0x1000, CODE(0x88, 0x03, 0xf4));
	unsigned char byte;

	ck_assert_int_eq(vcpu_map(v, 0x240000000, 0x1000), 0);
	vcpu_set(v, VCPU_RBX, 0x240000ff0);
	vcpu_set(v, VCPU_RAX, 0xa5);
	ck_assert_int_eq(vcpu_run(v, 10).reason, VCPU_STOP_IDLE);
	ck_assert_uint_eq(vcpu_read_physical(v, 0x240000ff0, &byte, 1), 1);
	ck_assert_uint_eq(byte, 0xa5);
	ck_assert_uint_eq(vcpu_read_linear(v, 0x240000ff0, &byte, 1), 1);
	vcpu_free(v);
}
END_TEST

START_TEST(bare_modes)
{
	/* B8 34 12 00 00 is mov eax, 1234h, or mov ax, 1234h and add [bx+si], al */
	static const unsigned char code[] = { 0xb8, 0x34, 0x12, 0x00, 0x00, 0xf4 };
	vcpu *v = bare("8086", 16, 0x1000, code, sizeof code);

	ck_assert_int_eq(vcpu_map(v, 0, 0x1000), 0);
	ck_assert_int_eq(vcpu_run(v, 10).reason, VCPU_STOP_IDLE);
	ck_assert_uint_eq(vcpu_instructions(v), 3);
	ck_assert_int_eq(vcpu_set_mode(v, 32), -1);
	ck_assert_str_ne(vcpu_error(v), "");
	ck_assert_int_eq(vcpu_set_mode(v, 64), -1);
	ck_assert_int_eq(vcpu_set_mode(v, 17), -1);
	vcpu_free(v);
	v = bare("386", 32, 0x1000, code, sizeof code);
	ck_assert_int_eq(vcpu_run(v, 10).reason, VCPU_STOP_IDLE);
	ck_assert_uint_eq(vcpu_instructions(v), 2);
	ck_assert_int_eq(vcpu_set_mode(v, 64), -1);
	vcpu_free(v);
}
END_TEST

START_TEST(bare_exception)
{
	vcpu *v = bare(NULL, 64, 0x1000, CODE(0x90, 0x0f, 0x0b)); /* nop; ud2 */
	struct vcpu_stop stop = vcpu_run(v, 10);

	ck_assert_int_eq(stop.reason, VCPU_STOP_EXCEPTION);
	ck_assert_uint_eq(stop.code, 6);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), 0x1001);
	ck_assert_uint_eq(vcpu_instructions(v), 1);
	vcpu_free(v);
}
END_TEST

/* TF traps behind each instruction but the one that sets it (SDM vol. 3, 17.3.1.4). */
START_TEST(bare_trap)
{
	vcpu *v = bare(NULL, 64, 0x1000, CODE(0x68, 2, 1, 0, 0, 0x9d, 0x90, 0x90, 0x90)); /* push 102h; popf; nop... */

	vcpu_set(v, VCPU_RSP, 0x3000);
	for (unsigned i = 1; i <= 2; i++) {
		struct vcpu_stop stop = vcpu_run(v, 10);

		ck_assert_int_eq(stop.reason, VCPU_STOP_EXCEPTION);
		ck_assert_uint_eq(stop.code, 1);
		ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), 0x1006 + i);
		ck_assert_uint_eq(vcpu_get(v, VCPU_DR6) & 0x4000, 0x4000);
		ck_assert_uint_eq(vcpu_instructions(v), 2 + i);
	}
	vcpu_free(v);
}
END_TEST

/* However a run is cut, it ends in the same state. */
START_TEST(cut_runs)
{
	/* mov ecx, 1000; l: add eax, ecx; imul edx, eax, 3; dec ecx; jnz l; hlt */
	static const unsigned char code[] = { 0xb9, 0xe8, 3,    0,    0,    0x01, 0xc8, 0x6b,
					      0xd0, 3,    0xff, 0xc9, 0x75, 0xf7, 0xf4 };
	static const unsigned pieces[] = { 1, 2, 3, 7, 100 };
	vcpu *a = bare(NULL, 64, 0x1000, code, sizeof code), *b;

	ck_assert_int_eq(vcpu_run(a, 3000).reason, VCPU_STOP_LIMIT);
	ck_assert_uint_eq(vcpu_instructions(a), 3000);
	for (unsigned i = 0; i < sizeof pieces / sizeof *pieces; i++) {
		b = bare(NULL, 64, 0x1000, code, sizeof code);
		for (unsigned done = 0; done < 3000; done += pieces[i]) {
			unsigned n = 3000 - done < pieces[i] ? 3000 - done : pieces[i];

			ck_assert_int_eq(vcpu_run(b, n).reason, VCPU_STOP_LIMIT);
		}
		ck_assert_uint_eq(vcpu_state_hash(a), vcpu_state_hash(b));
		vcpu_free(b);
	}
	ck_assert_int_eq(vcpu_run(a, 10000).reason, VCPU_STOP_IDLE);
	ck_assert_uint_eq(vcpu_instructions(a), 4002);
	ck_assert_uint_eq(vcpu_get(a, VCPU_RAX), 500500);
	vcpu_free(a);
}
END_TEST

START_TEST(stop_request)
{
	vcpu *v = bare(NULL, 64, 0x1000, CODE(0xeb, 0xfe));

	vcpu_stop(v);
	ck_assert_int_eq(vcpu_run(v, 1000).reason, VCPU_STOP_REQUEST);
	ck_assert_uint_eq(vcpu_instructions(v), 0);
	ck_assert_int_eq(vcpu_run(v, 1000).reason, VCPU_STOP_LIMIT);
	ck_assert_uint_eq(vcpu_instructions(v), 1000);
	vcpu_free(v);
}
END_TEST

struct note { uint64_t offset, value; unsigned size, reads; };

static uint64_t note_read(void *user, uint64_t offset, unsigned size)
{
	struct note *note = user;

	note->reads++;
	return offset * 0x10 + size;
}

static void note_write(void *user, uint64_t offset, unsigned size, uint64_t value)
{
	*(struct note *)user = (struct note){ offset, value, size, ((struct note *)user)->reads };
}

START_TEST(user_devices)
{
	/* mov rax, [rbx+8]; mov [rbx+16], ax; in al, 40h+2; out 43h, eax... */
	vcpu *v = bare(NULL, 64, 0x1000, CODE(0x48, 0x8b, 0x43, 8, 0x66, 0x89, 0x43, 16, 0xe4, 0x42, 0xe7, 0x40, 0xf4));
	struct note memory = { 0 }, ports = { 0 };
	struct vcpu_device a = { .read = note_read, .write = note_write, .user = &memory },
			   b = { .read = note_read, .write = note_write, .user = &ports };

	ck_assert_int_eq(vcpu_map_device(v, "memory", 0x80000000, 0x1000, &a), 0);
	ck_assert_int_eq(vcpu_map_ports(v, "ports", 0x40, 8, &b), 0);
	ck_assert_int_eq(vcpu_map_ports(v, "ports", 0xfffe, 8, &b), -1);
	vcpu_set(v, VCPU_RBX, 0x80000000);
	ck_assert_int_eq(vcpu_run(v, 10).reason, VCPU_STOP_IDLE);
	ck_assert_uint_eq(memory.reads, 1);
	ck_assert_uint_eq(memory.offset, 16);
	ck_assert_uint_eq(memory.size, 2);
	ck_assert_uint_eq(memory.value, 0x88);
	ck_assert_uint_eq(ports.reads, 1);
	ck_assert_uint_eq(ports.offset, 0);
	ck_assert_uint_eq(ports.size, 4);
	ck_assert_uint_eq(ports.value, 0x21);
	vcpu_free(v);
}
END_TEST

START_TEST(mapping)
{
	vcpu *v = bare(NULL, 32, 0x1000, CODE(0xf4));
	char buffer[32] = "x";

	ck_assert_int_eq(vcpu_map(v, 0x100001, 0x1000), -1);
	ck_assert_int_eq(vcpu_map(v, 0x100000, 0x800), -1);
	ck_assert_int_eq(vcpu_map(v, 0x100000, 0), -1);
	ck_assert_int_eq(vcpu_map(v, 0x0, 0x2000), -1); /* overlaps */
	ck_assert_int_eq(vcpu_map(v, (uint64_t)1 << 52, 0x1000), -1);
	ck_assert_int_eq(vcpu_map(v, ~(uint64_t)0xfff, 0x1000), -1);
	ck_assert_uint_eq(vcpu_resident(v), 4096);
	ck_assert_uint_eq(vcpu_write_physical(v, 0x10ff0, buffer, 32), 16);
	ck_assert_uint_eq(vcpu_write_physical(v, 0x10ff8, buffer, 32), 8);
	ck_assert_uint_eq(vcpu_read_physical(v, 0x11000, buffer, 32), 0);
	ck_assert_uint_eq(vcpu_resident(v), 8192);
	vcpu_free(v);
}
END_TEST

START_TEST(debug_exit)
{
	vcpu *v = pc("8086", CODE(0xb0, 0x2a, 0xe6, 0xf4, 0xeb, 0xfe), (struct vcpu_config){ 0 });
		/* mov al, 42; out f4h, al; jmp . */
	struct vcpu_stop stop = vcpu_run(v, 100);

	ck_assert_int_eq(stop.reason, VCPU_STOP_DEBUG_EXIT);
	ck_assert_uint_eq(stop.code, 42);
	ck_assert_uint_eq(vcpu_instructions(v), 2); /* in the very instruction */
	ck_assert_int_eq(vcpu_run(v, 100).reason, VCPU_STOP_LIMIT);
	ck_assert_uint_eq(vcpu_instructions(v), 102);
	vcpu_free(v);
}
END_TEST

/* With CR0.NE = 0 an x87 error stops the processor before the next waiting instruction until an interrupt comes; a
 * write to port F0h asserts IGNNE#, and it goes on (SDM vol. 1, 8.7.2, D.2.1). The guest divides by 0, unmasked; STI;
 * FSTP to 7E00h; FLD1; FSTP to 7E08h; ends with 3. IRQ 13's handler counts at 7E10h, keeps at 7E12h what is in 7E06h,
 * and writes to port F0h. */
START_TEST(x87_error)
{
	static const unsigned char code[] = {
		0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xd0, 0xbc, 0x00, 0x70, 0xb0, 0x11, 0xe6, 0x20, 0xe6, 0xa0, 0xb0, 0x08,
			0xe6, 0x21, 0xb0,
		0x70, 0xe6, 0xa1, 0xb0, 0x04, 0xe6, 0x21, 0xb0, 0x02, 0xe6, 0xa1, 0xb0, 0x01, 0xe6, 0x21, 0xe6, 0xa1,
		0xb0, 0xfb, 0xe6,
		0x21, 0xb0, 0xdf, 0xe6, 0xa1, 0xc7, 0x06, 0xd4, 0x01, 0x57, 0x7c, 0xa3, 0xd6, 0x01, 0xc7, 0x06, 0xd6,
		0x01, 0x00, 0x00,
		0xdb, 0xe3, 0xd9, 0x2e, 0x6a, 0x7c, 0xd9, 0xe8, 0xd9, 0xee, 0xde, 0xf9, 0xfb, 0xdd, 0x1e, 0x00, 0x7e,
		0xd9, 0xe8, 0xdd,
		0x1e, 0x08, 0x7e, 0xb0, 0x03, 0xe6, 0xf4, 0xff, 0x06, 0x10, 0x7e, 0xa1, 0x06, 0x7e, 0xa3, 0x12, 0x7e,
		0xe6, 0xf0, 0xb0,
		0x20, 0xe6, 0xa0, 0xe6, 0x20, 0xcf, 0x7b, 0x03
	};
	static const char *const models[] = { "286", "386", "max" };
	enum { STI = 0x48, FSTP = 0x7c49 };
	unsigned char sector[sizeof code], seen[20], untouched[16];

	memset(untouched, 0xaa, sizeof untouched);
	for (unsigned i = 0; i < 2 * 3; i++) {
		bool open = i & 1;
		vcpu *v;

		memcpy(sector, code, sizeof code);
		if (!open)
			sector[STI] = 0x90;
		v = pc(models[i / 2], sector, sizeof sector, (struct vcpu_config){ 0 });
		vcpu_write_physical(v, 0x7e00, untouched, sizeof untouched);
		if (open) {
			struct vcpu_stop stop = vcpu_run(v, 1000);

			ck_assert_int_eq(stop.reason, VCPU_STOP_DEBUG_EXIT);
			ck_assert_int_eq(stop.code, 3);
			vcpu_read_physical(v, 0x7e00, seen, sizeof seen);
			ck_assert_uint_eq(seen[16], 1);
			ck_assert_msg(seen[18] == 0xaa && seen[19] == 0xaa, "%s: FSTP was done before the handler",
				      models[i / 2]);
			ck_assert_uint_ne(seen[7], 0xaa); /* and after it, with the next */
			ck_assert_uint_ne(seen[15], 0xaa);
		} else {
			uint64_t before;
			void *state = NULL;
			size_t len = 0;

			vcpu_run(v, 1000); /* it ends, or finds nothing that could wake it */
			before = vcpu_instructions(v);
			ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), FSTP);
			ck_assert(vcpu_save(v, &state, &len, NULL));
			ck_assert(vcpu_load(v, state, len, NULL));
			free(state);
			vcpu_run(v, 1000);
			ck_assert_uint_eq(vcpu_instructions(v), before);
			ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), FSTP);
			vcpu_read_physical(v, 0x7e00, seen, sizeof seen);
			ck_assert_mem_eq(seen, untouched, sizeof untouched);
		}
		vcpu_free(v);
	}
}
END_TEST

START_TEST(power_off)
{
	/* mov dx, 604h; mov ax, 2000h (SLP_TYP 0, SLP_EN); out dx, ax; jmp . */
	vcpu *v = pc(NULL, CODE(0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef, 0xeb, 0xfe), (struct vcpu_config){ 0 });

	ck_assert_int_eq(vcpu_run(v, 3).reason, VCPU_STOP_POWEROFF); /* though the limit is reached, too */
	ck_assert_uint_eq(vcpu_instructions(v), 3);
	ck_assert_int_eq(vcpu_run(v, 100).reason, VCPU_STOP_POWEROFF);
	ck_assert_uint_eq(vcpu_instructions(v), 3);
	vcpu_free(v);
}
END_TEST

/* The CMOS outlives a reset; everything else is loaded again. Each guest counts its boots there and resets until it has
 * booted three times. */
START_TEST(resets)
{
	static const unsigned char prologue[] = {
		0xb0, 0x40, 0xe6, 0x70, 0xe4, 0x71, 0xfe, 0xc0, 0xe6, 0x71, /* cmos[40h]++ */
		0xfe, 0x06, 0x80, 0x7c,                                     /* inc byte [7c80h]: 1 in a fresh image */
		0x3c, 3, 0x75, 7,                                           /* cmp al, 3; jne reset */
		0x8a, 0x26, 0x80, 0x7c, 0xe7, 0xf4, 0xf4,                   /* mov ah, [7c80h]; out f4h, ax; hlt */
	};
	static const struct { const char *model; unsigned char code[8]; size_t len; } ways[] = {
		{ "8086", { 0xb0, 0xfe, 0xe6, 0x64, 0xeb, 0xfe }, 6 },                   /* i8042 command FEh */
		{ "486", { 0xb0, 0x03, 0xe6, 0x92, 0xeb, 0xfe }, 6 },                    /* port 92h, bit 0 */
		{ "max", { 0xba, 0xf9, 0x0c, 0xb0, 0x06, 0xee, 0xeb, 0xfe }, 8 },        /* port CF9h */
	};

	for (unsigned i = 0; i < sizeof ways / sizeof *ways; i++) {
		unsigned char code[64];
		struct vcpu_stop stop;
		vcpu *v;

		memcpy(code, prologue, sizeof prologue);
		memcpy(code + sizeof prologue, ways[i].code, ways[i].len);
		v = pc(ways[i].model, code, sizeof prologue + ways[i].len, (struct vcpu_config){ 0 });
		stop = vcpu_run(v, 10000);
		ck_assert_msg(stop.reason == VCPU_STOP_DEBUG_EXIT, "%s: %s", ways[i].model,
			      vcpu_stop_name(stop.reason));
		ck_assert_msg(stop.code == 0x103, "%s: %x", ways[i].model, stop.code);
		vcpu_free(v);
	}
}
END_TEST

START_TEST(nothing_to_boot)
{
	static const char *const models[] = { "8086", "286", "386", "max" };

	for (unsigned i = 0; i < sizeof models / sizeof *models; i++) {
		struct vcpu_config config = { .cpu = models[i] };
		vcpu *v = vcpu_new(&config, NULL);

		ck_assert_msg(v != NULL, "%s", models[i]);
		ck_assert_msg(vcpu_run(v, 1000).reason == VCPU_STOP_HALT, "%s", models[i]);
		ck_assert_uint_eq(vcpu_instructions(v), 2); /* cli; hlt */
		vcpu_free(v);
	}
}
END_TEST

START_TEST(triple_fault)
{
	/* lidt [7c10h] (limit 0); int3: #GP, for vector 3 is beyond the limit; so is vector 13; so is vector 8, of the
	 * double fault */
	vcpu *v = pc("386", CODE(0x0f, 0x01, 0x1e, 0x10, 0x7c, 0xcc), (struct vcpu_config){ 0 });
	struct vcpu_fault chain[8];
	unsigned n;

	ck_assert_uint_eq(vcpu_fault_chain(v, chain, 8), 0);
	ck_assert_int_eq(vcpu_run(v, 100).reason, VCPU_STOP_TRIPLE_FAULT);
	n = vcpu_fault_chain(v, chain, 8);
	ck_assert_uint_eq(n, 3);
	for (unsigned i = 0; i < n; i++) {
		ck_assert_uint_eq(chain[i].rip, 0x7c05);
		ck_assert_uint_eq(chain[i].vector, 13);
	}
	ck_assert_str_ne(chain[0].text, "");
	ck_assert_int_eq(vcpu_run(v, 100).reason, VCPU_STOP_TRIPLE_FAULT);
	vcpu_free(v);
}
END_TEST

struct heard { char text[64]; size_t len; enum vcpu_channel channel; };

static void hear(void *user, enum vcpu_channel channel, const void *data, size_t len)
{
	struct heard *h = user;

	if (channel == VCPU_LOG || h->len + len > sizeof h->text)
		return;
	memcpy(h->text + h->len, data, len);
	h->len += len;
	h->channel = channel;
}

START_TEST(input_and_output)
{
	/* mov dx, 3fdh; l: in al, dx; test al, 1; jz l; mov dl, f8h; in al, dx; inc ax; out dx, al; out e9h, al; cli;
	 * hlt */
	struct heard heard = { .len = 0 };
	vcpu *v = pc(
		"8086",
		CODE(0xba, 0xfd, 0x03, 0xec, 0xa8, 1, 0x74, 0xfb, 0xb2, 0xf8, 0xec, 0x40, 0xee, 0xe6, 0xe9, 0xfa, 0xf4),
		(struct vcpu_config){ .output = hear, .user = &heard });
	static const char much[70000];

	ck_assert_int_eq(vcpu_run(v, 1000).reason, VCPU_STOP_LIMIT);
	ck_assert_int_eq(vcpu_input(v, VCPU_COM1, "A", 1), 0);
	ck_assert_int_eq(vcpu_input(v, VCPU_COM1, much, sizeof much), -1);
	ck_assert_str_ne(vcpu_error(v), "");
	ck_assert_int_eq(vcpu_input(v, VCPU_DEBUGCON, "A", 1), -1);
	ck_assert_int_eq(vcpu_input(v, VCPU_LOG, "A", 1), -1);
	vcpu_run(v, 100000);
	ck_assert_uint_eq(heard.len, 2);
	ck_assert_int_eq(memcmp(heard.text, "BB", 2), 0);
	ck_assert_int_eq(heard.channel, VCPU_DEBUGCON);
	vcpu_free(v);
}
END_TEST

/* An NMI ends HLT, though IF is clear, until port 70h masks it. */
START_TEST(nmi)
{
	/* xor ax, ax; mov ds, ax; mov word [8], 7c20h; mov word [10], 0; cli; l: hlt; jmp l
	 * 7c20h: mov al, 4eh; out e9h, al; mov al, 80h; out 70h, al; iret */
	static const unsigned char code[64] = {
		0x31, 0xc0, 0x8e, 0xd8, 0xc7, 6, 8, 0, 0x20, 0x7c, 0xc7, 6, 10, 0, 0, 0, 0xfa, 0xf4, 0xeb, 0xfd,
		[0x20] = 0xb0, 0x4e, 0xe6, 0xe9, 0xb0, 0x80, 0xe6, 0x70, 0xcf
	};
	static const char *const models[] = { "8086", "386", "max" };

	for (unsigned i = 0; i < sizeof models / sizeof *models; i++) {
		struct heard heard = { .len = 0 };
		vcpu *v = pc(models[i], code, sizeof code, (struct vcpu_config){ .output = hear, .user = &heard });

		ck_assert_int_eq(vcpu_run(v, 1000).reason, VCPU_STOP_HALT);
		ck_assert_uint_eq(heard.len, 0);
		ck_assert_int_eq(vcpu_input(v, VCPU_NMI, NULL, 0), 0);
		ck_assert_int_eq(vcpu_run(v, 1000).reason, VCPU_STOP_HALT);
		ck_assert_uint_eq(heard.len, 1);
		ck_assert_int_eq(heard.text[0], 'N');
		ck_assert_int_eq(vcpu_input(v, VCPU_NMI, NULL, 0), -1);
		ck_assert_str_eq(vcpu_error(v), "bit 7 of port 70h masks the NMI");
		ck_assert_int_eq(vcpu_input(v, VCPU_RESET, NULL, 0), 0);
		vcpu_run(v, 1000);
		ck_assert_int_eq(vcpu_input(v, VCPU_NMI, NULL, 0), 0);
		vcpu_run(v, 1000);
		ck_assert_uint_eq(heard.len, 2);
		vcpu_free(v);
	}
}
END_TEST

START_TEST(bad_configurations)
{
	static const struct { struct vcpu_config config; const char *says; } bad[] = {
		{ { .memory = 1000 }, "multiple" },
		{ { .memory = (uint64_t)1 << 50 }, "MiB" },
		{ { .memory = (uint64_t)2 << 20, .cpu = "8086" }, "address lines" },
		{ { .cpu = "80486" }, "80486" },
		{ { .cpu = "max,+nonsense" }, "nonsense" },
		{ { .kernel = "/nonexistent" }, "/nonexistent: " },
		{ { .kernel = "/" }, "/: " },
		{ { .kernel = "/dev/null" }, "/dev/null: " },
		{ { .initrd = "/dev/null" }, "without a kernel" },
		{ { .bare = true, .kernel = "x" }, "bare" },
		{ { .bare = true, .memory = 1 << 20 }, "bare" },
	};

	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
		char *error = NULL;

		ck_assert_ptr_null(vcpu_new(&bad[i].config, &error));
		ck_assert_ptr_nonnull(error);
		ck_assert_msg(strstr(error, bad[i].says) != NULL, "%u: %s", i, error);
		ck_assert_ptr_null(strchr(error, '\n'));
		free(error);
		ck_assert_ptr_null(vcpu_new(&bad[i].config, NULL));
	}
}
END_TEST

/* Every register by its number, name and size; wide ones in whole, which instructions see. */
START_TEST(wide_registers)
{
	/* vpaddq ymm0, ymm1, ymm2; fld st0; hlt */
	vcpu *v = bare("max,+avx512f,+apx", 64, 0x1000, CODE(0xc5, 0xf5, 0xd4, 0xc2, 0xd9, 0xc0, 0xf4)), *old;
	const int ymm = vcpu_register_by_name("ymm0"), zmm = vcpu_register_by_name("zmm31");
	uint64_t a[8] = { 1, 2, 3, 4, 5, 6, 7, 8 }, b[8] = { 10, 20, 30, 40, 0 }, out[8];
	unsigned count = 0;
	uint16_t word;

	for (int reg = -1; (reg = vcpu_register_next(reg)) >= 0; count++) {
		const char *name = vcpu_register_name(reg);

		ck_assert_int_eq(vcpu_register_by_name(name), reg);
		ck_assert_msg(vcpu_register_size(reg) >= 1 && vcpu_register_size(reg) <= 64, "%s", name);
		ck_assert_msg(!vcpu_get_register(v, reg, out), "%s", name);
		ck_assert_msg(vcpu_register_size(reg) < 8 || out[0] == vcpu_get(v, reg), "%s", name);
	}
	ck_assert_uint_gt(count, 250);
	ck_assert_uint_eq(vcpu_register_size(ymm), 32);
	ck_assert_uint_eq(vcpu_register_size(VCPU_CS), 2);
	ck_assert_int_eq(vcpu_set(v, VCPU_CR4, vcpu_get(v, VCPU_CR4) | 1 << 18), 0);
	ck_assert_int_eq(vcpu_set(v, VCPU_XCR0, 5), -1); /* AVX without SSE */
	ck_assert_int_eq(vcpu_set(v, VCPU_XCR0, 7), 0);
	ck_assert_int_eq(vcpu_set_register(v, ymm + 1, a), 0);
	ck_assert_int_eq(vcpu_set_register(v, ymm + 2, b), 0);
	ck_assert_int_eq(vcpu_set_register(v, zmm, a), 0);
	ck_assert_int_eq(vcpu_set(v, VCPU_FTW, 0x3fff), 0); /* all but register 7 are empty */
	ck_assert_int_eq(vcpu_set(v, VCPU_FSW, 7 << 11), 0);
	ck_assert_int_eq(vcpu_run(v, 100).reason, VCPU_STOP_IDLE);
	ck_assert_int_eq(vcpu_get_register(v, ymm, out), 0);
	for (unsigned i = 0; i < 4; i++)
		ck_assert_uint_eq(out[i], a[i] + b[i]);
	ck_assert_int_eq(vcpu_get_register(v, zmm, out), 0);
	ck_assert_mem_eq(out, a, 64);
	ck_assert_uint_eq(vcpu_get(v, VCPU_FTW), 0x5fff); /* registers 6 and 7 are 0 */
	ck_assert_uint_eq(vcpu_get(v, VCPU_FIP), 0x1004);
	ck_assert_int_eq(vcpu_get_register(v, VCPU_FTW, &word), 0);
	ck_assert_uint_eq(word, 0x5fff);
	ck_assert_uint_eq(vcpu_get(v, VCPU_ACTIVITY), 1);
	ck_assert_uint_eq(vcpu_get(v, VCPU_CS_LIMIT), 0xffffffff);
	ck_assert_uint_eq(vcpu_get(v, VCPU_CS_ATTRIBUTES) & 0x2000, 0x2000); /* L */
	ck_assert_int_eq(vcpu_set(v, VCPU_CS_LIMIT, 1), -1);
	ck_assert_int_eq(vcpu_set(v, VCPU_TSC, 1000), 0);
	ck_assert_uint_eq(vcpu_get(v, VCPU_TSC), 1000);
	ck_assert_int_eq(vcpu_set(v, VCPU_ACTIVITY, 3), -1);
	vcpu_write_physical(v, 0x1007, "\xf4", 1);
	ck_assert_int_eq(vcpu_set(v, VCPU_ACTIVITY, 0), 0); /* out of HLT */
	ck_assert_int_eq(vcpu_run(v, 1).reason, VCPU_STOP_LIMIT);
	for (int i = 0; i < 16; i++)
		ck_assert_int_eq(vcpu_set(v, VCPU_R16 + i, 100 + (uint64_t)i), 0);
	ck_assert_uint_eq(vcpu_get(v, vcpu_register_by_name("r31")), 115);
	vcpu_write_physical(v, 0x2000, "\xd5\x59\x89\xc8", 4); /* mov r24, r17 */
	ck_assert_int_eq(vcpu_set(v, VCPU_XCR0, 0x80007), 0);
	ck_assert_int_eq(vcpu_set(v, VCPU_RIP, 0x2000), 0);
	ck_assert_int_eq(vcpu_run(v, 1).reason, VCPU_STOP_LIMIT);
	ck_assert_uint_eq(vcpu_get(v, VCPU_R16 + 8), 101);
	vcpu_free(v);
	old = bare("pentium", 32, 0x1000, CODE(0xf4));
	ck_assert_int_eq(vcpu_get_register(old, ymm, out), -1);
	ck_assert_int_eq(vcpu_get_register(old, VCPU_R16, out), -1);
	ck_assert_int_eq(vcpu_set(old, VCPU_R31, 1), -1);
	ck_assert_int_eq(vcpu_set(old, VCPU_PKRU, 1), -1);
	vcpu_free(old);
}
END_TEST

/* The list of MSRs has each once, the ones that every x86-64 has among them, and nothing that RDMSR does not know. */
START_TEST(msr_numbers)
{
	static const uint32_t always[] = { 0x10, 0xfe, 0x174, 0x277, 0xc0000080, 0xc0000102 };
	vcpu *v = bare("nehalem", 64, 0x1000, CODE(0xf4)), *old;
	uint32_t index, seen[512];
	uint64_t value;
	unsigned n = 0, found = 0;

	for (; vcpu_msr_number(v, n, &index); n++) {
		ck_assert_uint_lt(n, 512);
		for (unsigned i = 0; i < n; i++)
			ck_assert_uint_ne(seen[i], index);
		seen[n] = index;
		for (unsigned i = 0; i < sizeof always / sizeof *always; i++)
			found += always[i] == index;
		ck_assert_msg(!vcpu_get_msr(v, index, &value), "MSR %x", index);
	}
	ck_assert_uint_eq(found, sizeof always / sizeof *always);
	vcpu_free(v);
	old = bare("486", 32, 0x1000, CODE(0xf4));
	ck_assert(!vcpu_msr_number(old, 0, &index));
	vcpu_free(old);
}
END_TEST

START_TEST(registers)
{
	vcpu *v = bare(NULL, 64, 0x1000, CODE(0xf4));
	unsigned char ten[10] = { 0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x3f }, back[16];

	for (int i = 0; i < VCPU_REGISTERS; i++) {
		ck_assert_ptr_nonnull(vcpu_register_name(i));
		ck_assert_int_eq(vcpu_register_by_name(vcpu_register_name(i)), i);
	}
	ck_assert_int_eq(vcpu_register_by_name("nonsense"), -1);
	ck_assert_ptr_null(vcpu_register_name(0x9999));
	ck_assert_int_eq(vcpu_set(v, VCPU_RAX, 0x1122334455667788), 0);
	ck_assert_uint_eq(vcpu_get(v, vcpu_register_by_name("eax")), 0x55667788);
	ck_assert_uint_eq(vcpu_get(v, vcpu_register_by_name("ah")), 0x77);
	ck_assert_int_eq(vcpu_set(v, vcpu_register_by_name("ah"), 0xaa), 0);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RAX), 0x112233445566aa88);
	ck_assert_int_eq(vcpu_set(v, vcpu_register_by_name("ah"), 0x100), -1);
	ck_assert_int_eq(vcpu_set(v, vcpu_register_by_name("eax"), 1), 0);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RAX), 1); /* SDM vol. 1, 3.4.1.1 */
	ck_assert_uint_eq(vcpu_widest_mode(v), 64);
	ck_assert_uint_eq(vcpu_get(v, VCPU_CODE_BITS), 64);
	ck_assert_uint_eq(vcpu_get(v, VCPU_CPL), 0);
	ck_assert_int_eq(vcpu_set(v, VCPU_CS_BASE, 0), -1);          /* follows from CS */
	ck_assert_int_eq(vcpu_set(v, VCPU_RIP, 0x800000000000), -1); /* not canonical */
	ck_assert_int_eq(vcpu_set(v, VCPU_CR0, 0x80000000), -1);     /* PG without PE */
	ck_assert_int_eq(vcpu_set(v, VCPU_RFLAGS, 0x8d5), 0);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RFLAGS), 0x8d7);
	ck_assert_int_eq(vcpu_set(v, 12345, 0), -1);
	ck_assert_int_eq(vcpu_set_st(v, 3, ten), 0);
	ck_assert_int_eq(vcpu_get_st(v, 3, back), 0);
	ck_assert_int_eq(memcmp(ten, back, 10), 0);
	ck_assert_int_eq(vcpu_get_st(v, 8, back), -1);
	memset(back, 0x5a, 16);
	ck_assert_int_eq(vcpu_set_vector(v, 15, back), 0);
	ck_assert_uint_eq(vcpu_get(v, vcpu_register_by_name("xmm15")), 0x5a5a5a5a5a5a5a5a);
	ck_assert_int_eq(vcpu_set_vector(v, 16, back), -1);
	vcpu_free(v);
}
END_TEST

START_TEST(table)
{
	struct vcpu_insn row;
	unsigned n = 0;

	while (vcpu_isa_row(n, &row)) {
		ck_assert_str_ne(row.mnemonic, "");
		ck_assert_ptr_nonnull(row.since);
		if (!strcmp(row.mnemonic, "hlt"))
			ck_assert_str_eq(row.check, "CPL0");
		if (!strcmp(row.mnemonic, "add"))
			ck_assert_str_eq(row.flags_written, "OSZAPC");
		n++;
	}
	ck_assert_uint_gt(n, 500);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("machine");
	TCase *tcase = tcase_create("machine");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, bare_64);
	tcase_add_test(tcase, bare_64_vectors);
	tcase_add_test(tcase, bare_64_without_large_pages);
	tcase_add_test(tcase, bare_modes);
	tcase_add_test(tcase, bare_exception);
	tcase_add_test(tcase, bare_trap);
	tcase_add_test(tcase, cut_runs);
	tcase_add_test(tcase, stop_request);
	tcase_add_test(tcase, user_devices);
	tcase_add_test(tcase, mapping);
	tcase_add_test(tcase, debug_exit);
	tcase_add_test(tcase, x87_error);
	tcase_add_test(tcase, power_off);
	tcase_add_test(tcase, resets);
	tcase_add_test(tcase, nothing_to_boot);
	tcase_add_test(tcase, triple_fault);
	tcase_add_test(tcase, input_and_output);
	tcase_add_test(tcase, nmi);
	tcase_add_test(tcase, bad_configurations);
	tcase_add_test(tcase, registers);
	tcase_add_test(tcase, wide_registers);
	tcase_add_test(tcase, msr_numbers);
	tcase_add_test(tcase, table);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
