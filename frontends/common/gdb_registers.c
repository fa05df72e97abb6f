/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "gdb_registers.h"
#include "gdb_wire.h"

#define G(n) { n, "int64", 8, NULL }
static const struct gdb_reg wide_core[] = {
	G("rax"), G("rbx"), G("rcx"), G("rdx"), G("rsi"), G("rdi"), { "rbp", "data_ptr", 8, NULL },
		{ "rsp", "data_ptr", 8, NULL },
	G("r8"), G("r9"), G("r10"), G("r11"), G("r12"), G("r13"), G("r14"), G("r15"), { "rip", "code_ptr", 8, NULL },
	{ "eflags", "i386_eflags", 4, NULL },
};
#undef G
#define G(n) { n, "int32", 4, NULL }
static const struct gdb_reg narrow_core[] = {
	G("eax"), G("ecx"), G("edx"), G("ebx"), { "esp", "data_ptr", 4, NULL }, { "ebp", "data_ptr", 4, NULL },
		G("esi"), G("edi"),
	{ "eip", "code_ptr", 4, NULL }, { "eflags", "i386_eflags", 4, NULL },
};
static const struct gdb_reg both_core[] = {
	G("cs"), G("ss"), G("ds"), G("es"), G("fs"), G("gs"),
	{ "st0", "i387_ext", 10, "" }, { "st1", "i387_ext", 10, "" }, { "st2", "i387_ext", 10, "" },
		{ "st3", "i387_ext", 10, "" },
	{ "st4", "i387_ext", 10, "" }, { "st5", "i387_ext", 10, "" }, { "st6", "i387_ext", 10, "" },
		{ "st7", "i387_ext", 10, "" },
	{ "fctrl", "int", 4, "fcw" }, { "fstat", "int", 4, "fsw" }, { "ftag", "int", 4, "" }, { "fiseg", "int", 4, "" },
	{ "fioff", "int", 4, "" }, { "foseg", "int", 4, "" }, { "fooff", "int", 4, "" }, { "fop", "int", 4, "" },
};
#undef G
#define X(n) { n, "vec128", 16, "" }
static const struct gdb_reg sse[] = {
	X("xmm0"), X("xmm1"), X("xmm2"), X("xmm3"), X("xmm4"), X("xmm5"), X("xmm6"), X("xmm7"),
	X("xmm8"), X("xmm9"), X("xmm10"), X("xmm11"), X("xmm12"), X("xmm13"), X("xmm14"), X("xmm15"),
};
#undef X
static const struct gdb_reg mxcsr[] = { { "mxcsr", "i386_mxcsr", 4, NULL } };
static const struct gdb_reg segments[] = { { "fs_base", "int64", 8, NULL }, { "gs_base", "int64", 8, NULL } };
#define S(n) { n, "int64", 8, NULL }
static const struct gdb_reg control[] = {
	S("cr0"), S("cr2"), S("cr3"), S("cr4"), S("cr8"), S("efer"), S("cs_base"), S("ss_base"), S("ds_base"),
		S("es_base"),
	S("gdtr_base"), S("gdtr_limit"), S("idtr_base"), S("idtr_limit"), S("ldtr"), S("ldtr_base"), S("tr"),
	S("tr_base"),
	S("dr0"), S("dr1"), S("dr2"), S("dr3"), S("dr6"), S("dr7"), S("cpl"),
	/* The registers of 64-bit mode, for a gdb that was told of a narrower one. */
	S("rax"), S("rbx"), S("rcx"), S("rdx"), S("rsi"), S("rdi"), S("rbp"), S("rsp"),
	S("r8"), S("r9"), S("r10"), S("r11"), S("r12"), S("r13"), S("r14"), S("r15"), S("rip"),
};
enum { LONG = 17 };
static const struct gdb_reg apx[] = {
	S("r16"), S("r17"), S("r18"), S("r19"), S("r20"), S("r21"), S("r22"), S("r23"),
	S("r24"), S("r25"), S("r26"), S("r27"), S("r28"), S("r29"), S("r30"), S("r31"),
};
#undef S

#define LIST(a) a, sizeof a / sizeof *a
/* The features of the description, and so the order of the registers. */
static const struct feature { const char *name; const struct gdb_reg *regs; unsigned count; } wide_features[] = {
#define WIDE \
	{ "org.gnu.gdb.i386.core", LIST(wide_core) }, { NULL, LIST(both_core) }, \
	{ "org.gnu.gdb.i386.sse", LIST(sse) }, { NULL, LIST(mxcsr) }, \
	{ "org.gnu.gdb.i386.segments", LIST(segments) }, \
	{ "libvcpu.system", control, sizeof control / sizeof *control - LONG }
	WIDE, { NULL, NULL, 0 }
}, apx_features[] = {
	WIDE, { "org.gnu.gdb.i386.apx", LIST(apx) }, { NULL, NULL, 0 }
#undef WIDE
}, narrow_features[] = {
	{ "org.gnu.gdb.i386.core", LIST(narrow_core) }, { NULL, LIST(both_core) },
	{ "org.gnu.gdb.i386.sse", sse, 8 }, { NULL, LIST(mxcsr) },
	{ "libvcpu.system", control, sizeof control / sizeof *control - LONG },
	{ NULL, NULL, 0 }
}, extended_features[] = {
	{ "org.gnu.gdb.i386.core", LIST(narrow_core) }, { NULL, LIST(both_core) },
	{ "org.gnu.gdb.i386.sse", sse, 8 }, { NULL, LIST(mxcsr) },
	{ "libvcpu.system", LIST(control) },
	{ NULL, NULL, 0 }
};

static const struct feature *features(struct gdb_arch arch)
{
	return arch.bits == 64 ? arch.apx ? apx_features : wide_features : arch.extended ? extended_features : narrow_features;
}

unsigned gdb_reg_pc(struct gdb_arch arch) { return arch.bits == 64 ? 16 : 8; }

const struct gdb_reg *gdb_reg(struct gdb_arch arch, uint64_t n)
{
	for (const struct feature *f = features(arch); f->regs; n -= f++->count)
		if (n < f->count)
			return &f->regs[n];
	return NULL;
}

static const char *our_name(const struct gdb_reg *r) { return r->ours ? r->ours : r->name; }
static bool is_pc(const struct gdb_reg *r) { return !strcmp(r->name, "rip") || !strcmp(r->name, "eip"); }

/* What CS's base adds to the instruction pointer: nothing in 64-bit code. */
static uint64_t code_base(const vcpu *machine)
{
	return vcpu_get(machine, VCPU_CODE_BITS) == 64 ? 0 : vcpu_get(machine, VCPU_CS_BASE);
}

/* Its bytes; false: this machine has no such register, which the protocol writes as x's. */
static bool reg_read(const vcpu *machine, const struct gdb_reg *r, unsigned char out[16])
{
	int number = vcpu_register_by_name(our_name(r));
	uint64_t value;

	if (!strncmp(r->name, "st", 2))
		return !vcpu_get_st(machine, (unsigned)(r->name[2] - '0'), out);
	if (!strncmp(r->name, "xmm", 3))
		return !vcpu_get_vector(machine, (unsigned)atoi(r->name + 3), out);
	if (number < 0)
		return false;
	value = vcpu_get(machine, number) + (is_pc(r) ? code_base(machine) : 0);
	for (unsigned i = 0; i < r->bytes; i++)
		out[i] = i < 8 ? (unsigned char)(value >> 8 * i) : 0;
	return true;
}

bool gdb_reg_write(vcpu *machine, const struct gdb_reg *r, const unsigned char in[16])
{
	int number = vcpu_register_by_name(our_name(r));
	uint64_t value = 0;

	if (!strncmp(r->name, "st", 2))
		return !vcpu_set_st(machine, (unsigned)(r->name[2] - '0'), in);
	if (!strncmp(r->name, "xmm", 3))
		return !vcpu_set_vector(machine, (unsigned)atoi(r->name + 3), in);
	for (unsigned i = 0; i < r->bytes && i < 8; i++)
		value |= (uint64_t)in[i] << 8 * i;
	return number >= 0 && !vcpu_set(machine, number, value - (is_pc(r) ? code_base(machine) : 0));
}

char *gdb_reg_put(const vcpu *machine, const struct gdb_reg *r, char *out)
{
	unsigned char bytes[16];

	if (reg_read(machine, r, bytes))
		return gdb_put_hex(out, bytes, r->bytes);
	memset(out, 'x', 2 * r->bytes);
	out[2 * r->bytes] = 0;
	return out + 2 * r->bytes;
}

void gdb_target_xml(struct gdb_arch arch, char *out, size_t size)
{
	bool open = false;
	size_t n = 0;

#define ADD(...) (n += (size_t)snprintf(out + n, size - n, __VA_ARGS__))
	ADD("<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target version=\"1.0\"><architecture>%s</architecture>%s%s",
	    arch.bits == 64   ? "i386:x86-64"
	    : arch.bits == 32 ? "i386"
			      : "i8086",
	    arch.bits == 16 ? "<osabi>none</osabi>" : "",
	    /* else gdb would go by a file for x86-64 that it has loaded, and not understand a word */
	    arch.bits < 64 && arch.extended ? "<compatible>i386:x86-64</compatible>" : "");
	for (const struct feature *f = features(arch); f->regs; f++) {
		if (f->name) {
			ADD("%s<feature name=\"%s\">", open ? "</feature>" : "", f->name);
			open = true;
			if (strstr(f->name, "sse"))
				ADD("<vector id=\"v4f\" type=\"ieee_single\" count=\"4\"/><vector id=\"v2d\" type=\"ieee_double\" count=\"2\"/>"
				    "<vector id=\"v16i8\" type=\"int8\" count=\"16\"/><vector id=\"v8i16\" type=\"int16\" count=\"8\"/>"
				    "<vector id=\"v4i32\" type=\"int32\" count=\"4\"/><vector id=\"v2i64\" type=\"int64\" count=\"2\"/>"
				    "<union id=\"vec128\"><field name=\"v4_float\" type=\"v4f\"/><field name=\"v2_double\" type=\"v2d\"/>"
				    "<field name=\"v16_int8\" type=\"v16i8\"/><field name=\"v8_int16\" type=\"v8i16\"/>"
				    "<field name=\"v4_int32\" type=\"v4i32\"/><field name=\"v2_int64\" type=\"v2i64\"/>"
				    "<field name=\"uint128\" type=\"uint128\"/></union>");
		}
		for (unsigned i = 0; i < f->count; i++) {
			const char *type = f->regs[i].type;

			if (!strcmp(type, "i386_eflags") || !strcmp(type, "i386_mxcsr")) /* gdb has those of its own */
				type = "int";
			ADD("<reg name=\"%s\" bitsize=\"%u\" type=\"%s\"/>", f->regs[i].name, 8 * f->regs[i].bytes,
				type);
		}
	}
	ADD("</feature></target>");
#undef ADD
}
