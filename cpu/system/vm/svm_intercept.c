/* SPDX-License-Identifier: MIT */
/* What makes a guest of SVM exit: instructions (APM vol. 2, 15.9 to 15.11, table 15-7) and events (15.12, 15.13), and
 * what is injected (15.20, 15.21). */
#include "cpu/system/system.h"

bool svm_exits(struct cpu *c, u64 code, u64 info1, u64 info2)
{
	struct svm *v = c->svm;

	v->code = code;
	v->info1 = info1;
	v->info2 = info2;
	v->why = NULL;
	v->next_rip = 0;
	v->bytes[0] = 0;
	c->fault = (struct fault){ .vector = FAULT_VMEXIT };
	return false;
}

/* ---- instructions ---- */

/* The instruction O exits. Always true. */
static bool exits(struct cpu *c, const struct op *o, u64 code, u64 info1, u64 info2)
{
	svm_exits(c, code, info1, info2);
	c->svm->next_rip = next_rip(c, o);
	return true;
}

static bool assists(const struct cpu *c) { return has(c->model, F_DECODE_ASSISTS); }

/* Up to 15 bytes, as many as there are without a fault. Of a fetch (bit 4 of the error code) there are none. */
void svm_note_bytes(struct cpu *c)
{
	u64 rip = c->op ? op_rip(c, c->op) : c->r[RIP], phys;
	u8 *bytes = c->svm->bytes;

	memset(bytes, 0, sizeof c->svm->bytes);
	while (assists(c) && !(c->svm->info1 & 0x10) && bytes[0] < 15 &&
	       page_peek(c, (c->cs_base + rip + bytes[0]) & c->linear_mask, &phys)) {
		bytes[0]++;
		space_peek(c->mem, phys & c->mem->mask, bytes + bytes[0], 1);
	}
}

/* Two bits for each register, to read and to write, in ranges of 2048 bytes (15.11). */
static bool msr_exits(const struct cpu *c, u32 index, bool write)
{
	static const u32 first[] = { 0, 0xc0000000, 0xc0010000 };

	for (unsigned i = 0; i < ARRAY_LEN(first); i++)
		if (index - first[i] < 0x2000)
			return vm_bit(c, c->svm->msrpm + 0x800 * i, 2 * (index - first[i]) + write);
	return true;
}

/* EXITINFO1: 31-16 port | 12-10 segment | 9-7 address size 64, 32, 16 | 6-4 operand size 32, 16, 8 | 3 REP | 2 string
 * 0 IN; EXITINFO2: the next RIP */
static bool io(struct cpu *c, const struct op *o, unsigned opcode)
{
	const struct port_access a = port_access(c, o, opcode);
	bool set = false;

	if ((a.rep && !(c->r[RCX] & op_amask(o))) || !svm_intercepts(c, SVM_EXIT_IOIO))
		return false;
	if (!io_allowed(c, a.port, a.size))
		return true;
	for (unsigned i = 0; i < a.size; i++)
		set |= vm_bit(c, c->svm->iopm, a.port + i);
	return set && exits(c, o, SVM_EXIT_IOIO,
			    a.in | a.string << 2 | a.rep << 3 | a.size << 4 | 1u << (7 + o->asize) |
				    (a.string && assists(c) ? a.seg << 10 : 0) | (u32)a.port << 16,
			    next_rip(c, o));
}

/* EXITINFO1 of MOV: 63 it is MOV | 3-0 general register */
static u64 mov_info(const struct cpu *c, u8 reg) { return assists(c) ? (u64)1 << 63 | reg / 8u : 0; }

/* The selective intercept is for changes of other bits than TS and MP, and for each LMSW (15.9). */
static bool selective(struct cpu *c, const struct op *o)
{
	u64 v = reg_get(c, o->src, in_64(c) ? 8 : 4);

	return svm_intercepts(c, SVM_EXIT_CR0_SEL_WRITE) &&
	       (o->code == CODE_lmsw ||
		(o->code == CODE_mov_to_cr && !o->dst && (v ^ c->cr0) & ~(u64)(CR0_TS | CR0_MP | CR0_ET)));
}

static bool control_register(struct cpu *c, const struct op *o, bool write)
{
	bool mov = o->code == CODE_mov_to_cr || o->code == CODE_mov_from_cr;
	u64 info = mov ? mov_info(c, write ? o->src : o->dst) : 0;
	unsigned code = (write ? SVM_EXIT_CR_WRITE : SVM_EXIT_CR_READ) + (!mov ? 0 : write ? o->dst : o->src);

	if (svm_intercepts(c, code))
		return exits(c, o, code, info, 0);
	return write && selective(c, o) && exits(c, o, SVM_EXIT_CR0_SEL_WRITE, info, 0);
}

static bool debug_register(struct cpu *c, const struct op *o, bool write)
{
	unsigned n = write ? o->dst : o->src;

	if ((n == 4 || n == 5) && c->cr4 & CR4_DE)
		return !fault_ud(c);
	n += write ? SVM_EXIT_DR_WRITE : SVM_EXIT_DR_READ;
	return svm_intercepts(c, n) && exits(c, o, n, assists(c) ? (write ? o->src : o->dst) / 8u : 0, 0);
}

/* A PAUSE counts down, if it comes within the threshold of the one before; the one that finds 0 exits (15.14.4). */
static bool pause(struct cpu *c, const struct op *o)
{
	struct svm *v = c->svm;
	u64 tsc;

	if (!svm_intercepts(c, SVM_EXIT_PAUSE))
		return false;
	if (has(c->model, F_PAUSE_FILTER) && v->pause_filter) {
		cpu_sync(c);
		tsc = read_tsc(c);
		c->walks++; /* for wait.c: the round changes something */
		if (v->pause_threshold && tsc - v->pause_last > v->pause_threshold)
			v->pause_count = v->pause_filter;
		v->pause_last = tsc;
		if (v->pause_count) {
			v->pause_count--;
			return false;
		}
		v->pause_count = v->pause_filter;
	}
	return exits(c, o, SVM_EXIT_PAUSE, 0, 0);
}

static bool mwait(struct cpu *c, const struct op *o)
{
	if (svm_intercepts(c, SVM_EXIT_MWAIT))
		return exits(c, o, SVM_EXIT_MWAIT, c->monitor_armed, 0);
	return c->monitor_armed && svm_intercepts(c, SVM_EXIT_MWAIT_CONDITIONAL) &&
	       exits(c, o, SVM_EXIT_MWAIT_CONDITIONAL, 1, 0);
}

bool svm_instruction_exits(struct cpu *c, const struct op *o, enum intercept intercept, unsigned opcode)
{
	static const u8 codes[] = {
#define X(name, code) [INTERCEPT_##name] = code,
		INTERCEPTS(X)
#undef X
	};
	unsigned code = codes[intercept];
	u64 info = 0;

	switch (intercept) {
	case INTERCEPT_CR_READ: return control_register(c, o, false);
	case INTERCEPT_CR_WRITE: return control_register(c, o, true);
	case INTERCEPT_DR_READ: return debug_register(c, o, false);
	case INTERCEPT_DR_WRITE: return debug_register(c, o, true);
	case INTERCEPT_IOIO: return io(c, o, opcode);
	case INTERCEPT_PAUSE: return pause(c, o);
	case INTERCEPT_MWAIT: return mwait(c, o);
	case INTERCEPT_MSR:
		info = o->code == CODE_wrmsr;
		if (svm_intercepts(c, code) && msr_exits(c, (u32)c->r[RCX], info))
			return exits(c, o, code, info, 0);
		return avic_msr_exits(c, (u32)c->r[RCX], info);
	case INTERCEPT_SWINT: info = assists(c) ? o->imm & 0xff : 0; break;
	case INTERCEPT_INVLPG: info = assists(c) ? linear_address(c, o->seg, op_offset(c, o)) : 0; break;
	case INTERCEPT_INVLPGA: info = assists(c) ? c->r[RAX] & op_amask(o) : 0; break;
	default: break;
	}
	return svm_intercepts(c, code) && exits(c, o, code, info, 0);
}

/* ---- events ---- */

/* An intercepted page fault leaves CR2 as it was (15.12.15). */
bool svm_exception_exits(struct cpu *c, unsigned vector, u32 error)
{
	u64 cr2 = c->cr2;

	if (c->svm->injecting || !svm_intercepts(c, SVM_EXIT_EXCEPTION + vector))
		return false;
	svm_exits(c, SVM_EXIT_EXCEPTION + vector, error, vector == VEC_PF ? cr2 : 0);
	if (vector == VEC_PF) {
		c->cr2 = c->guest_cr2;
		svm_note_bytes(c);
	}
	return true;
}

bool svm_delivers(struct cpu *c, unsigned vector, enum interrupt_kind kind, bool has_error, u32 error)
{
	struct svm *v = c->svm;
	unsigned type = kind == INT_SOFTWARE ? SVM_EVENT_SOFTWARE : kind != INT_EXTERNAL ? SVM_EVENT_EXCEPTION
		      : vector == VEC_NMI ? SVM_EVENT_NMI : SVM_EVENT_INTR;

	if (type == SVM_EVENT_EXCEPTION && svm_exception_exits(c, vector, error)) {
		if (kind == INT_SOFT_EXC)
			v->next_rip = c->r[RIP];
		return false;
	}
	v->vectoring = EVENT_VALID | vector | type << 8 | (has_error ? EVENT_ERROR | (u64)error << 32 : 0);
	if (v->injecting)
		v->vectoring = v->inject;
	return true;
}

bool svm_virtual_due(const struct cpu *c, bool shadow)
{
	u64 v = c->svm->virtual;

	return v & V_IRQ && c->eflags & FL_I && !shadow &&
	       (v & (V_AVIC_ENABLE | V_IGN_TPR) || (v >> 16 & 15) > (v & 15)) &&
	       (!(v & V_GIF_ENABLE) || v & V_GIF);
}

/* INT n, INT3 and INTO return behind the instruction, which the VMCB's nRIP is; it stands in next_rip. */
static bool inject(struct cpu *c)
{
	struct svm *v = c->svm;
	static const u8 kinds[] = { [SVM_EVENT_INTR] = INT_EXTERNAL, [SVM_EVENT_NMI] = INT_EXTERNAL,
				    [SVM_EVENT_EXCEPTION] = INT_EXCEPTION, [SVM_EVENT_SOFTWARE] = INT_SOFTWARE };
	unsigned type = v->inject >> 8 & 7, vector = v->inject & 0xff;
	bool soft = type == SVM_EVENT_EXCEPTION && (vector == VEC_BP || vector == VEC_OF), ok;
	u64 rip = c->r[RIP], next = vmcb_get(c, v->vmcb, VMCB_NRIP);

	c->shadow_at = 0;
	if ((soft || type == SVM_EVENT_SOFTWARE) && has(c->model, F_NRIPS) && next)
		c->r[RIP] = trim_rip(c, next);
	v->injecting = true;
	ok = interrupt(c, vector, soft ? INT_SOFT_EXC : (enum interrupt_kind)kinds[type], v->inject & EVENT_ERROR,
		       (u32)(v->inject >> 32));
	v->injecting = false;
	v->inject = 0;
	if (!ok)
		c->r[RIP] = rip;
	return ok;
}

bool svm_boundary(struct cpu *c)
{
	struct svm *v = c->svm;
	unsigned vector;

	if (v->inject)
		return v->inject & EVENT_VALID ? inject(c) : avic_exits(c);
	if (v->virtual & V_AVIC_ENABLE) {
		vector = avic_acknowledge(c);
		return !vector || interrupt(c, vector, INT_EXTERNAL, false, 0);
	}
	if (svm_intercepts(c, SVM_EXIT_VINTR))
		return svm_exits(c, SVM_EXIT_VINTR, 0, 0);
	v->virtual &= ~(u64)V_IRQ;
	return interrupt(c, v->virtual >> 32 & 0xff, INT_EXTERNAL, false, 0);
}
