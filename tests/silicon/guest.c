/* SPDX-License-Identifier: MIT */
/* Trials run by libvcpu: a bare processor at CPL 3, set up as Linux sets up a program's, with the features that the
 * host has, too. */
#include <stdio.h>
#include <stdlib.h>
#include "cpu/op.h"
#include "tests/silicon/trial.h"
#ifdef __x86_64__
#include <cpuid.h>
#endif

/* Physical memory: tables, and the window. The kernel's half of the linear space shows all of it. */
enum { GDT = 0x1000, GDT_ENTRIES = 16, LDT = 0x2000, TSS = 0x3000, PML4 = 0x4000, PDPT = 0x5000, DIRECTORY = 0x6000,
	TABLE = 0x7000, KERNEL_PDPT = 0x8000,
       KERNEL_DIRECTORY = 0x9000, RAM_WINDOW = 0x10000, RAM_SIZE = 0x20000 };
#define KERNEL 0xffff800000000000
enum { P = 1, W = 2, U = 4, AD = 0x60, LARGE = 0x80 };
#define NX ((u64)1 << 63)

struct cpu *guest;
u8 window_default[WINDOW_SIZE];
static struct model model;
static struct space mem, io;
static struct clock now;
static struct ram *ram;

/* CPUID leaves a virtual machine: each bit is asked for once. */
static bool ask_host(enum feature f)
{
	static const struct { u32 leaf, sub; u8 reg, bit; } bits[F_COUNT] = {
#define X(id, text, leaf, sub, reg, bit) [F_##id] = { leaf, sub, reg, bit },
		FEATURES(X)
#undef X
	};
	u32 r[4] = { 0 };

	if (!bits[f].leaf)
		return true;
#ifdef __x86_64__
	return __get_cpuid_count(bits[f].leaf, bits[f].sub, &r[0], &r[1], &r[2], &r[3]) &&
	       r[bits[f].reg] >> bits[f].bit & 1;
#else
	return r[0];
#endif
}

bool host_has(enum feature f)
{
	static u8 known[F_COUNT]; /* 1: not there, 2: there */

	if (!known[f])
		known[f] = ask_host(f) ? 2 : 1;
	return known[f] == 2;
}

static u64 descriptor(u32 base, u32 limit, unsigned access, unsigned flags)
{
	return (limit & 0xffff) | (u64)(base & 0xffffff) << 16 | (u64)access << 40 | (u64)(limit >> 16 & 15) << 48 |
		(u64)flags << 52 |
	       (u64)(base >> 24) << 56;
}

u64 ldt_descriptor(unsigned n)
{
	switch (n) {
	case L_CODE32: return descriptor(0, 0xfffff, 0xfb, 0xc);
	case L_CODE16: return descriptor(WINDOW, 0xffff, 0xfb, 0);
	case L_DATA32: return descriptor(0, 0xfffff, 0xf3, 0xc);
	case L_DATA16: return descriptor(WINDOW, 0xffff, 0xf3, 0);
	case L_SMALL: return descriptor(WINDOW, 0xa7fe, 0xf3, 4);
	case L_DOWN: return descriptor(WINDOW, 0x1fff, 0xf7, 4);
	case L_READ: return descriptor(WINDOW, 0xffff, 0xf1, 4);
	case L_ABSENT: return descriptor(WINDOW, 0xffff, 0x73, 4);
	case L_EXEC: return descriptor(WINDOW, 0xffff, 0xf9, 4);
	case L_ODD: return descriptor(WINDOW - 0x12345, 0xfffff, 0xf3, 0xc);
	case L_DOWN16: return descriptor(WINDOW, 0x0fff, 0xf7, 0);
	default: return 0;
	}
}

u32 segment_base(u16 selector)
{
	u64 d = selector & 4 ? ldt_descriptor(selector >> 3) : 0;

	return (u32)(d >> 16 & 0xffffff) | (u32)(d >> 56) << 24;
}

static void map_window(void)
{
	static const u64 rights[16] = { [1] = P | W | U | NX, [2] = P | W | U | NX, [4] = P | U | NX, [6] = P | W | U,
		[7] = P | W | U,
					[9] = P | W | U | NX, [10] = P | W | U | NX, [15] = P | W | U | NX };

	for (unsigned i = 0; i < 16; i++)
		if (rights[i])
			space_write(&mem, TABLE + 8 * i, 8, (RAM_WINDOW + 0x1000 * i) | rights[i] | AD);
	space_write(&mem, PML4, 8, PDPT | P | W | U | AD);
	space_write(&mem, PDPT, 8, DIRECTORY | P | W | U | AD);
	space_write(&mem, DIRECTORY + 8 * (WINDOW >> 21), 8, TABLE | P | W | U | AD);
	space_write(&mem, PML4 + 8 * 256, 8, KERNEL_PDPT | P | W | AD);
	space_write(&mem, KERNEL_PDPT, 8, KERNEL_DIRECTORY | P | W | AD);
	space_write(&mem, KERNEL_DIRECTORY, 8, P | W | AD | LARGE | NX);
}

/* Beyond the model: AMD's SSE4A, and what belongs to AVX-512 and came with it. */
static void give_more(void)
{
	static const u8 wide[] = { F_AVX512F, F_AVX512DQ, F_AVX512_IFMA, F_AVX512CD, F_AVX512BW, F_AVX512VL,
		F_AVX512_VBMI, F_AVX512_VBMI2, F_AVX512_VNNI, F_AVX512_BITALG, F_AVX512_VPOPCNTDQ, F_AVX512_VP2INTERSECT, F_AVX512_FP16,
		F_AVX512_BF16 };

	if (host_has(F_SSE4A))
		model.features[F_SSE4A >> 6] |= (u64)1 << (F_SSE4A & 63);
	if (host_has(F_AVX_VNNI))
		model.features[F_AVX_VNNI >> 6] |= (u64)1 << (F_AVX_VNNI & 63);
	for (unsigned i = 0; i < ARRAY_LEN(wide); i++)
		if (host_avx512())
			model.features[wide[i] >> 6] |= (u64)1 << (wide[i] & 63);
		else
			model.features[wide[i] >> 6] &= ~((u64)1 << (wide[i] & 63));
}

void guest_new(const char *name, bool stitched)
{
	char *error;
	u64 x = 1;

	/* Of the host's maker, with all that the host has of it. An extension that some makers have is compared where the
	 * host is one of theirs. */
	if (!name)
		name = host_maker() == MAKER_AMD ? "zen5" : "max";
	if (!model_parse(&model, name, &error)) {
		fprintf(stderr, "native: --model: %s\n", error);
		exit(2);
	}
	give_more();
	for (unsigned f = 0; f < F_COUNT; f++)
		if (!host_has(f))
			model.features[f >> 6] &= ~((u64)1 << (f & 63));
	space_init(&mem);
	space_init(&io);
	ram = ram_new(RAM_SIZE);
	if (!ram || space_add_ram(&mem, "ram", 0, RAM_SIZE, ram, 0, false) < 0)
		abort();
	guest = cpu_new(&(struct cpu_config){
		.model = &model, .mem = &mem, .io = &io, .clock = &now, .bare = true, .stitched = stitched });
	if (!guest)
		abort();
	ram->written = cpu_code_written;
	ram->owner = guest;
	map_window();
	for (unsigned i = 0; i < GDT_ENTRIES; i++)
		space_write(&mem, GDT + 8 * i, 8, host_gdt((u16)(8 * i + 3)));
	for (unsigned i = 0; i < L_COUNT; i++)
		space_write(&mem, LDT + 8 * i, 8, ldt_descriptor(i));
	space_write(&mem, TSS + 102, 2, 0x68); /* no ports */
	guest->gdtr.base = KERNEL + GDT;
	guest->gdtr.limit = 8 * GDT_ENTRIES - 1;
	guest->seg[LDTR] = (struct seg){ .base = KERNEL + LDT, .limit = 8 * L_COUNT - 1, .attr = SEG_P | 2,
		.sel = 0x50 };
	guest->seg[TR] = (struct seg){ .base = KERNEL + TSS, .limit = 0x67, .attr = SEG_P | 11, .sel = 0x40 };
	guest->seg[ES] = guest->seg[DS] = (struct seg){ 0 };
	guest->idtr.limit = 0;
	guest->cr3 = PML4;
	guest->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE | CR4_FSGSBASE | CR4_UMIP;
	guest->xcr0 = host_avx512() ? 0xe7 : 7;
	guest->efer = EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE;
	guest->cr0 = CR0_PG | CR0_PE | CR0_NE | CR0_MP | CR0_ET | CR0_WP | CR0_AM;
	guest->misc_enable |= 1;
	guest->cpl = 3;
	for (unsigned i = 0; i < WINDOW_SIZE; i++) {
		x = x * 6364136223846793005 + 1442695040888963407;
		window_default[i] = i >= CODE && i < CODE_END ? 0xcc : (u8)(x >> 56);
	}
	memcpy(ram->host + RAM_WINDOW, window_default, WINDOW_SIZE);
}

void guest_free(void)
{
	cpu_free(guest);
	ram_free(ram);
	space_free(&mem);
	space_free(&io);
}

u64 guest_stitched(void) { return blocks_counts(guest).stitched; }

const u8 *guest_window(void) { return ram->host + RAM_WINDOW; }

void guest_poke(unsigned at, const void *bytes, unsigned len)
{
	space_write_block(&mem, RAM_WINDOW + at, bytes, len);
}

enum decode_result guest_decode(unsigned bits, const u8 *code, unsigned len, struct dec *d, struct op *o)
{
	u32 mode = MODE_LONG | MODE_PE | MODE_CPL | MODE_OSFXSR | MODE_OSXSAVE | MODE_AVX | MODE_MP | MODE_XMM_EXC |
		   MODE_UMIP | (host_avx512() ? MODE_AVX512 : 0);

	return decode(guest->isa, &model, mode | (bits == 64 ? MODE_64 : bits == 32 ? MODE_32 : MODE_16), code, len, d,
		o);
}

/* ---- states ---- */

static void load(const struct state *s)
{
	struct cpu *c = guest;
	u64 cs = space_read(&mem, s->seg[CS] & 4 ? LDT + (s->seg[CS] & ~7u) : GDT + (s->seg[CS] & ~7u), 8);

	memcpy(c->r, s->r, sizeof s->r);
	c->r[RIP] = s->rip;
	c->eflags = ((u32)s->flags & ~(u32)OSZAPC) | FL_1 | FL_I;
	cpu_set_arith(c, (u32)s->flags);
	c->cpl = 3;
	descriptor_to_seg(&c->seg[CS], s->seg[CS], cs);
	update_mode(c);
	seg_update(c, CS);
	for (unsigned i = ES; i <= GS; i++)
		if (i != CS && (c->seg[i].sel != s->seg[i] || i == FS || i == GS)) {
			if (!seg_load(c, i, s->seg[i]))
				abort();
		} else {
			seg_update(c, i);
		}
	if (s->seg[CS] == USER_CS) {
		c->seg[FS].base = s->fs_base;
		c->seg[GS].base = s->gs_base;
	}
	update_mode(c);
	vregs_load(c, 0, s->f.xmm, 16);
	vregs_load(c, 16, s->f.ymm_high, 16);
	for (unsigned i = 0; i < 16; i++) {
		memcpy(&c->v[i].b[32], s->z.zmm_high[i], 32);
		memcpy(&c->v[16 + i], s->z.zmm[i], 64);
	}
	memcpy(c->k, s->z.k, sizeof c->k);
	c->mxcsr = s->f.mxcsr;
	c->x87.cw = s->f.cw;
	c->x87.sw = s->f.sw & ~0x3800;
	c->x87.top = s->f.sw >> 11 & 7;
	c->x87.valid = s->f.tags;
	c->x87.op = s->f.op;
	c->x87.ip = s->f.ip;
	c->x87.dp = s->f.dp;
	c->x87.cs = c->x87.ds = 0;
	for (unsigned i = 0; i < 8; i++) {
		unsigned n = (c->x87.top + i) & 7;

		c->x87.st[n].frac = get64(s->f.st[i]);
		c->x87.st[n].exp = get16(s->f.st[i] + 8);
	}
	c->activity = ACTIVITY_RUN;
	c->db_pending = 0;
	c->shadow_at = 0;
	c->chain_len = 0;
	c->attn = 0;
}

static void store(struct state *s)
{
	const struct cpu *c = guest;

	memset(s, 0, sizeof *s);
	memcpy(s->r, c->r, sizeof s->r);
	s->rip = c->r[RIP];
	s->flags = cpu_flags(c);
	for (unsigned i = ES; i <= GS; i++)
		s->seg[i] = c->seg[i].sel;
	s->fs_base = c->seg[FS].base;
	s->gs_base = c->seg[GS].base;
	vregs_save(c, 0, s->f.xmm, 16);
	vregs_save(c, 16, s->f.ymm_high, 16);
	for (unsigned i = 0; i < 16; i++) {
		memcpy(s->z.zmm_high[i], &c->v[i].b[32], 32);
		memcpy(s->z.zmm[i], &c->v[16 + i], 64);
	}
	memcpy(s->z.k, c->k, sizeof c->k);
	s->f.mxcsr = c->mxcsr;
	s->f.cw = c->x87.cw;
	s->f.sw = (u16)(c->x87.sw | c->x87.top << 11);
	s->f.tags = c->x87.valid;
	s->f.op = c->x87.op;
	s->f.ip = c->x87.ip;
	s->f.dp = c->x87.dp;
	for (unsigned i = 0; i < 8; i++) {
		unsigned n = (c->x87.top + i) & 7;

		put64(s->f.st[i], c->x87.st[n].frac);
		put16(s->f.st[i] + 8, c->x87.st[n].exp);
	}
}

/* INT3, INTO and INT1 that find no IDT are #GP with the entry's number; the host's kernel has the entry, and says so in
 * its signal. #GP for UMIP it does not show at all. */
static void kernel_does_otherwise(struct state *s)
{
	u8 code[16];
	u64 linear = s->rip + (s->seg[CS] == USER_CS ? 0 : segment_base(s->seg[CS]));
	struct dec d;
	struct op o;

	if (s->vector != VEC_GP || linear < WINDOW + CODE || linear >= WINDOW + CODE_END)
		return;
	memcpy(code, guest_window() + (linear - WINDOW), sizeof code); /* nothing is behind, but bytes are */
	if (guest_decode(s->seg[CS] == USER_CS         ? 64
			 : s->seg[CS] == ldt(L_CODE16) ? 16
						       : 32,
			 code, sizeof code, &d, &o) != DECODE_OK)
		return;
	if (!s->error && d.row->insn->check & CHK_UMIP)
		s->vector = HOST_EMULATES;
	else if (s->error & 2 && d.map == 0 &&
		 (d.opcode == 0xcc || d.opcode == 0xce || d.opcode == 0xf1 ||
		  (d.opcode == 0xcd && (d.imm == 3 || d.imm == 4)))) {
		s->vector = (int)(s->error >> 3);
		s->error = 0;
		/* AMD's virtual machines (KVM takes each #DB first) give the address of INT1. */
		s->rip += d.opcode == 0xf1 && host_maker() == MAKER_AMD ? 0 : d.len;
		if (s->seg[CS] == ldt(L_CODE16))
			s->rip &= 0xffff;
	}
}

void guest_run(const struct trial *t, struct state *out)
{
	/* More than the host can do before its time is over. */
	const u64 limit = t->through || blocks_stitched(guest) ? (u64)1 << 31 : 1;
	enum cpu_stop stop;

	load(&t->in);
	guest->fault = (struct fault){ 0 };
	stop = cpu_run(guest, guest->icount + limit, ~(u64)0);
	store(out);
	if (stop == CPU_EXCEPTION) {
		out->vector = guest->fault.vector;
		out->error = guest->fault.has_error ? guest->fault.error : 0;
		out->cr2 = guest->cr2;
		kernel_does_otherwise(out);
	} else if (stop == CPU_LIMIT && limit == 1) { /* the INT3 that the host has gone on to */
		out->vector = VEC_BP;
		out->rip++;
	} else {
		out->vector = HOST_TIMEOUT;
	}
}
