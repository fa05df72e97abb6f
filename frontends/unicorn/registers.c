/* SPDX-License-Identifier: MIT */
/* Registers by Unicorn's numbers, and contexts. */
#include "shim.h"

/* Numbers in a row are names in a row: "xmm" from 0 on. */
static const struct family { int first, last; const char *prefix; unsigned base; const char *suffix; } families[] = {
	{ UC_X86_REG_R8, UC_X86_REG_R15, "r", 8, "" }, { UC_X86_REG_R8B, UC_X86_REG_R15B, "r", 8, "b" },
	{ UC_X86_REG_R8D, UC_X86_REG_R15D, "r", 8, "d" }, { UC_X86_REG_R8W, UC_X86_REG_R15W, "r", 8, "w" },
	{ UC_X86_REG_XMM0, UC_X86_REG_XMM31, "xmm", 0, "" }, { UC_X86_REG_YMM0, UC_X86_REG_YMM31, "ymm", 0, "" },
	{ UC_X86_REG_ZMM0, UC_X86_REG_ZMM31, "zmm", 0, "" }, { UC_X86_REG_K0, UC_X86_REG_K7, "k", 0, "" },
	{ UC_X86_REG_MM0, UC_X86_REG_MM7, "mm", 0, "" }, { UC_X86_REG_ST0, UC_X86_REG_ST7, "st", 0, "" },
	{ UC_X86_REG_DR0, UC_X86_REG_DR3, "dr", 0, "" }, { UC_X86_REG_DR6, UC_X86_REG_DR7, "dr", 6, "" },
	{ UC_X86_REG_CR2, UC_X86_REG_CR4, "cr", 2, "" },
};

#define NAMES(X) \
	X(AH, "ah") X(AL, "al") X(AX, "ax") X(BH, "bh") X(BL, "bl") X(BP, "bp") X(BPL, "bpl") X(BX, "bx") X(CH, "ch") \
	X(CL, "cl") X(CS, "cs") X(CX, "cx") X(DH, "dh") X(DI, "di") X(DIL, "dil") X(DL, "dl") X(DS, "ds") X(DX, "dx") \
	X(EAX, "eax") X(EBP, "ebp") X(EBX, "ebx") X(ECX, "ecx") X(EDI, "edi") X(EDX, "edx") X(EFLAGS, "eflags") \
	X(EIP, "eip") X(ES, "es") X(ESI, "esi") X(ESP, "esp") X(FPSW, "fsw") X(FS, "fs") X(GS, "gs") X(IP, "ip") \
	X(RAX, "rax") X(RBP, "rbp") X(RBX, "rbx") X(RCX, "rcx") X(RDI, "rdi") X(RDX, "rdx") X(RIP, "rip") \
	X(RSI, "rsi") X(RSP, "rsp") X(SI, "si") X(SIL, "sil") X(SP, "sp") X(SPL, "spl") X(SS, "ss") X(CR0, "cr0") \
	X(CR8, "cr8") X(FPCW, "fcw") X(FPTAG, "ftw") X(MXCSR, "mxcsr") X(FS_BASE, "fs_base") X(GS_BASE, "gs_base") \
	X(FLAGS, "flags") X(RFLAGS, "rflags") X(FIP, "fip") X(FCS, "fcs") X(FDP, "fdp") X(FDS, "fds") X(FOP, "fop")

/* The number of libvcpu; -1: there is none. */
static int number_of(int regid)
{
	switch (regid) {
#define NUMBER(name, text) case UC_X86_REG_##name: return vcpu_register_by_name(text);
	NAMES(NUMBER)
#undef NUMBER
	}
	for (unsigned i = 0; i < sizeof families / sizeof *families; i++) {
		const struct family *f = &families[i];
		unsigned n = f->base + (unsigned)(regid - f->first);
		char name[8], *at = name;

		if (regid < f->first || regid > f->last)
			continue;
		at = stpcpy(at, f->prefix);
		if (n >= 10)
			*at++ = (char)('0' + n / 10);
		*at++ = (char)('0' + n % 10);
		strcpy(at, f->suffix);
		return vcpu_register_by_name(name);
	}
	return -1;
}

/* ---- the instruction pointer ---- */

uint64_t instruction_pointer(vcpu *v, uc_mode mode)
{
	uint64_t rip = vcpu_get(v, VCPU_RIP);

	return mode == UC_MODE_16 ? rip + vcpu_get(v, VCPU_CS_BASE) : rip;
}

bool go_to(vcpu *v, uc_mode mode, uint64_t address)
{
	return !vcpu_set(v, VCPU_RIP, mode == UC_MODE_16 ? (uint16_t)(address - vcpu_get(v, VCPU_CS_BASE))
				      : mode == UC_MODE_32 ? (uint32_t)address : address);
}

/* ---- tables, MSRs ---- */

static int segment_of(int regid) { return regid == UC_X86_REG_LDTR ? VCPU_LDTR : VCPU_TR; }

static bool get_table(vcpu *v, int regid, uc_x86_mmr *out)
{
	struct vcpu_segment s;
	int base = regid == UC_X86_REG_GDTR ? VCPU_GDTR_BASE : VCPU_IDTR_BASE;
	int limit = regid == UC_X86_REG_GDTR ? VCPU_GDTR_LIMIT : VCPU_IDTR_LIMIT;

	if (regid == UC_X86_REG_GDTR || regid == UC_X86_REG_IDTR) {
		*out = (uc_x86_mmr){ .base = vcpu_get(v, base), .limit = (uint32_t)vcpu_get(v, limit) };
		return true;
	}
	if (vcpu_get_segment(v, segment_of(regid), &s))
		return false;
	/* QEMU's flags are the second word of the descriptor. */
	*out = (uc_x86_mmr){ s.selector, s.base, s.limit, (s.attributes & 0xf0ff) << 8 };
	return true;
}

static bool set_table(vcpu *v, int regid, const uc_x86_mmr *in)
{
	struct vcpu_segment s = { in->base, in->limit, in->flags >> 8 & 0xf0ff, in->selector };

	if (regid == UC_X86_REG_GDTR)
		return !vcpu_set(v, VCPU_GDTR_BASE, in->base) && !vcpu_set(v, VCPU_GDTR_LIMIT, (uint16_t)in->limit);
	if (regid == UC_X86_REG_IDTR)
		return !vcpu_set(v, VCPU_IDTR_BASE, in->base) && !vcpu_set(v, VCPU_IDTR_LIMIT, (uint16_t)in->limit);
	return !vcpu_set_segment(v, segment_of(regid), &s);
}

static bool is_table(int regid)
{
	return regid == UC_X86_REG_GDTR || regid == UC_X86_REG_IDTR || regid == UC_X86_REG_LDTR ||
	       regid == UC_X86_REG_TR;
}

/* FPn is a register where it lies, not relative to the top of the stack. */
static int physical_of(vcpu *v, int regid)
{
	unsigned top = vcpu_get(v, VCPU_FSW) >> 11 & 7;

	return UC_X86_REG_ST0 + (int)(((unsigned)(regid - UC_X86_REG_FP0) - top) & 7);
}

/* ---- one register ---- */

static uc_err read_register(vcpu *v, int regid, void *value)
{
	int reg;

	if (is_table(regid))
		return get_table(v, regid, value) ? UC_ERR_OK : UC_ERR_ARG;
	if (regid == UC_X86_REG_MSR) {
		uc_x86_msr *msr = value;

		return vcpu_get_msr(v, msr->rid, &msr->value) ? UC_ERR_ARG : UC_ERR_OK;
	}
	if (regid >= UC_X86_REG_FP0 && regid <= UC_X86_REG_FP7)
		regid = physical_of(v, regid);
	reg = number_of(regid);
	return reg < 0 || vcpu_get_register(v, reg, value) ? UC_ERR_ARG : UC_ERR_OK;
}

/* Bits that EFLAGS has; bit 1 is always set. */
static uint64_t flags_of(uint64_t value) { return (value & 0x3f7fd5) | 2; }

static uc_err write_register(vcpu *v, int regid, const void *value)
{
	uint64_t flags = 0;
	int reg;

	if (is_table(regid))
		return set_table(v, regid, value) ? UC_ERR_OK : UC_ERR_ARG;
	if (regid == UC_X86_REG_MSR) {
		const uc_x86_msr *msr = value;

		return vcpu_set_msr(v, msr->rid, msr->value) ? UC_ERR_ARG : UC_ERR_OK;
	}
	if (regid >= UC_X86_REG_FP0 && regid <= UC_X86_REG_FP7)
		regid = physical_of(v, regid);
	reg = number_of(regid);
	if (regid == UC_X86_REG_EFLAGS || regid == UC_X86_REG_RFLAGS || regid == UC_X86_REG_FLAGS) {
		memcpy(&flags, value, vcpu_register_size(reg));
		return vcpu_set(v, reg, flags_of(flags) & (regid == UC_X86_REG_FLAGS ? 0xffff : ~0ull)) ? UC_ERR_ARG
													 : UC_ERR_OK;
	}
	if (reg >= 0 && !vcpu_set_register(v, reg, value))
		return UC_ERR_OK;
	return reg >= VCPU_ES && reg <= VCPU_TR ? UC_ERR_EXCEPTION : UC_ERR_ARG;
}

static bool is_pointer(int regid)
{
	return regid == UC_X86_REG_RIP || regid == UC_X86_REG_EIP || regid == UC_X86_REG_IP;
}

uc_err uc_reg_read(uc_engine *uc, int regid, void *value) { return read_register(machine(uc), regid, value); }

uc_err uc_reg_write(uc_engine *uc, int regid, const void *value)
{
	struct level *l = current(uc);
	uint64_t rip = 0;

	if (is_pointer(regid)) {
		memcpy(&rip, value, vcpu_register_size(number_of(regid)));
		if (vcpu_set(l->v, VCPU_RIP, rip)) { /* while code is fetched: when that is over */
			l->goes = uc->running > uc->top;
			l->go_to = uc->mode == UC_MODE_16 ? rip + vcpu_get(l->v, VCPU_CS_BASE) : rip;
			return l->goes ? UC_ERR_OK : UC_ERR_ARG;
		}
		return UC_ERR_OK;
	}
	return write_register(l->v, regid, value);
}

uc_err uc_reg_read_batch(uc_engine *uc, int *regs, void **vals, int count)
{
	uc_err error = UC_ERR_OK;

	for (int i = 0; i < count && !error; i++)
		error = uc_reg_read(uc, regs[i], vals[i]);
	return error;
}

uc_err uc_reg_write_batch(uc_engine *uc, int *regs, void *const *vals, int count)
{
	uc_err error = UC_ERR_OK;

	for (int i = 0; i < count && !error; i++)
		error = uc_reg_write(uc, regs[i], vals[i]);
	return error;
}

/* ---- all registers ---- */

static void copy(vcpu *to, const vcpu *from, int reg)
{
	uint64_t value = vcpu_get(from, reg);

	if (vcpu_get(to, reg) != value)
		vcpu_set(to, reg, value);
}

void registers_copy(vcpu *to, const vcpu *from)
{
	static const int control[] = { VCPU_CR3, VCPU_EFER, VCPU_CR4, VCPU_CR0, VCPU_CR2, VCPU_XCR0 };
	struct vcpu_segment is, was;
	uint8_t value[64], old[64];

	for (unsigned i = 0; i < sizeof control / sizeof *control; i++)
		copy(to, from, control[i]);
	for (int reg = VCPU_ES; reg <= VCPU_TR; reg++)
		if (!vcpu_get_segment(from, reg, &is) && !vcpu_get_segment(to, reg, &was) &&
		    (is.base != was.base || is.limit != was.limit || is.attributes != was.attributes ||
		     is.selector != was.selector))
			vcpu_set_segment(to, reg, &is);
	for (int reg = -1; (reg = vcpu_register_next(reg)) >= 0;) {
		size_t size = vcpu_register_size(reg);

		if (reg == VCPU_RIP || reg == VCPU_TSC || reg == VCPU_ACTIVITY || (reg >= VCPU_ES && reg <= VCPU_TR) ||
		    (reg >= 0x100 && reg < 0x1000))
			continue;
		if (!vcpu_get_register(from, reg, value) && !vcpu_get_register(to, reg, old) &&
		    memcmp(value, old, size) != 0)
			vcpu_set_register(to, reg, value);
	}
}

/* ---- contexts: machines without memory ---- */

struct uc_context { vcpu *v; uc_mode mode; };

size_t uc_context_size(uc_engine *uc)
{
	(void)uc;
	return sizeof(struct uc_context);
}

uc_err uc_context_alloc(uc_engine *uc, uc_context **context)
{
	uc_context *c = calloc(1, sizeof *c);

	if (c)
		c->v = machine_bare(uc);
	if (!c || !c->v) {
		free(c);
		return UC_ERR_NOMEM;
	}
	c->mode = uc->mode;
	*context = c;
	return UC_ERR_OK;
}

uc_err uc_context_free(uc_context *context)
{
	vcpu_free(context->v);
	free(context);
	return UC_ERR_OK;
}

uc_err uc_context_save(uc_engine *uc, uc_context *context)
{
	registers_copy(context->v, machine(uc));
	vcpu_set(context->v, VCPU_RIP, vcpu_get(machine(uc), VCPU_RIP));
	return UC_ERR_OK;
}

uc_err uc_context_restore(uc_engine *uc, uc_context *context)
{
	registers_copy(machine(uc), context->v);
	vcpu_set(machine(uc), VCPU_RIP, vcpu_get(context->v, VCPU_RIP));
	return UC_ERR_OK;
}

uc_err uc_context_reg_read(uc_context *context, int regid, void *value)
{
	return read_register(context->v, regid, value);
}

uc_err uc_context_reg_write(uc_context *context, int regid, const void *value)
{
	return write_register(context->v, regid, value);
}

uc_err uc_context_reg_read_batch(uc_context *context, int *regs, void **vals, int count)
{
	uc_err error = UC_ERR_OK;

	for (int i = 0; i < count && !error; i++)
		error = read_register(context->v, regs[i], vals[i]);
	return error;
}

uc_err uc_context_reg_write_batch(uc_context *context, int *regs, void *const *vals, int count)
{
	uc_err error = UC_ERR_OK;

	for (int i = 0; i < count && !error; i++)
		error = write_register(context->v, regs[i], vals[i]);
	return error;
}
