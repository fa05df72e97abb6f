/* SPDX-License-Identifier: MIT */
/* The instruction table, and its compiler: encoding and operand strings become numbers, once for each machine. */
#include <stdlib.h>

#include "cpu/cpu.h"
#include "cpu/table/isa.h"

/* Words that rows use beside the enums of cpu.h and isa.h. ALLF is every flag that POPF or IRET may change. */
enum { OSZAP = OSZAPC & ~FL_C, OSAP = OSZAP & ~FL_Z };
enum { FV = TUPLE_FV, HV, QV, FVM, HVM, QVM, OVM, T1, T2, T4, T8, M128, DUP,
       SAE = ROUNDING_SAE, ER, NO_MASK = MASKING_NONE, MASKED };
enum { ALLF = OSZAPC | FL_T | FL_I | FL_D | FL_IOPL | FL_NT | FL_RF | FL_VM | FL_AC | FL_VIF | FL_VIP | FL_ID };

#define INSN(mnemonic, ...) gen_fn gen_##mnemonic;
#define INSV(mnemonic, variant, ...) gen_fn gen_##mnemonic##_##variant;
#include "cpu/table/insn.def"

static void gen_none(const struct dec *d, struct op *o)
{
	(void)d;
	(void)o;
}

#define INSN(mnemonic, ...) [CODE_##mnemonic] = gen_##mnemonic,
#define INSV(mnemonic, variant, ...) [CODE_##mnemonic##_##variant] = gen_##mnemonic##_##variant,
gen_fn *const insn_gen[CODES] = {
	[CODE_NONE] = gen_none,
#include "cpu/table/insn.def"
};

#define ROW(name, identity, enc, ops, feature, ...) \
	{ .mnemonic = name, .code = identity, .encoding = enc, .operands = ops, .since = F_##feature, \
		.check = INSN_CHECK, __VA_ARGS__ },
#define INSN(mnemonic, ...) ROW(#mnemonic, CODE_##mnemonic, __VA_ARGS__)
#define INSV(mnemonic, variant, ...) ROW(#mnemonic, CODE_##mnemonic##_##variant, __VA_ARGS__)
#define ALSO INSN
#define ALSV INSV
/* A row's own .check comes after the default, and wins. */
#pragma GCC diagnostic push
#ifdef __clang__
#pragma GCC diagnostic ignored "-Winitializer-overrides"
#else
#pragma GCC diagnostic ignored "-Woverride-init"
#endif
const struct insn insn_table[] = {
#include "cpu/table/insn.def"
};
#pragma GCC diagnostic pop

const unsigned insn_count = ARRAY_LEN(insn_table);

/* ---- encodings ---- */

static void want(struct isa_row *row, u64 mask, u64 match)
{
	row->mask |= mask;
	row->match |= match;
}

/* Does the word [S, S + LEN) say WORD? (Inline: of a constant the compiler knows the length.) */
ALWAYS_INLINE bool is(const char *s, size_t len, const char *word)
{
	return strlen(word) == len && !memcmp(s, word, len);
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Two hex digits at S, or -1. */
static int hex_byte(const char *s, size_t len)
{
	int high = len >= 2 ? hex_digit(s[0]) : -1, low = high >= 0 ? hex_digit(s[1]) : -1;

	return low < 0 ? -1 : high << 4 | low;
}

static int prefix_word(const char *s, size_t len)
{
	static const char *const words[] = { "NP", "66", "F3", "F2" };

	for (int i = 0; i < 4; i++)
		if (is(s, len, words[i]))
			return i;
	return -1;
}

/* VEX.128.66.0F38.W0: the fields between the dots. A VEX instruction always has a pp field; a row that names none means 0. */
static bool compile_vex(struct isa_row *row, const char *s, size_t len)
{
	const char *end = s + len;
	unsigned pp = 0;
	bool both = false;

	row->vex = true;
	row->evex = *s == 'E';
	for (s += row->evex ? 4 : 3; s < end;) {
		const char *field = ++s;
		size_t n;
		int prefix;

		while (s < end && *s != '.')
			s++;
		n = (size_t)(s - field);
		prefix = prefix_word(field, n);
		if (prefix >= 0)
			pp = (unsigned)prefix;
		else if (is(field, n, "128") || is(field, n, "LZ"))
			want(row, KEY_L | KEY_L2, 0);
		else if (is(field, n, "256"))
			want(row, KEY_L | KEY_L2, KEY_L);
		else if (is(field, n, "512"))
			want(row, KEY_L | KEY_L2, KEY_L2);
		else if (is(field, n, "W0"))
			want(row, KEY_W, 0);
		else if (is(field, n, "W1"))
			want(row, KEY_W, KEY_W);
		else if (is(field, n, "0F"))
			row->map = 1;
		else if (is(field, n, "0F38"))
			row->map = 2;
		else if (is(field, n, "0F3A"))
			row->map = 3;
		else if (is(field, n, "MAP8") || is(field, n, "MAP9") || is(field, n, "MAPA"))
			row->map = (u8)(field[3] == 'A' ? 10 : field[3] - '0');
		else if (is(field, n, "NP66"))
			both = true;
		else if (is(field, n, "ND0") || is(field, n, "ND1"))
			want(row, KEY_ND, field[2] == '1' ? KEY_ND : 0);
		else if (is(field, n, "NF0") || is(field, n, "NF1"))
			want(row, KEY_NF, field[2] == '1' ? KEY_NF : 0);
		else if (is(field, n, "MAP4"))
			row->map = MAP_APX;
		else if (is(field, n, "MAP5"))
			row->map = 5;
		else if (is(field, n, "MAP6"))
			row->map = 6;
		else if (!is(field, n, "LIG") && !is(field, n, "WIG"))
			return false;
	}
	want(row, both ? KEY_PP_HIGH : KEY_PP, (u64)pp << 9);
	return row->map != 0;
}

enum place { AT_PREFIX, AT_OPCODE, AT_MODRM, AT_END };

/* One hex byte, perhaps with +r or +i. */
static bool compile_byte(struct isa_row *row, const char *s, size_t len, enum place *place)
{
	int byte = hex_byte(s, len);
	bool plus = len == 4 && s[2] == '+' && (s[3] == 'r' || s[3] == 'i');

	if (byte < 0 || (len != 2 && !plus) || (plus && byte & 7))
		return false;
	switch (*place) {
	case AT_PREFIX:
	case AT_OPCODE:
		if (!row->vex && !plus && row->map == 0 && byte == 0x0f) {
			row->map = 1;
			*place = AT_OPCODE;
			return true;
		}
		if (!row->vex && !plus && row->map == 1 && (byte == 0x38 || byte == 0x3a)) {
			row->map = byte == 0x38 ? 2 : 3;
			*place = AT_OPCODE;
			return true;
		}
		if (!row->vex && !plus && row->map == 1 && byte == 0x0f) {
			row->map = MAP_3DNOW;
			*place = AT_OPCODE;
			return true;
		}
		row->opcode = (u8)byte;
		row->opcode_mask = plus ? 0xf8 : 0xff;
		*place = plus ? AT_END : AT_MODRM;
		return true;
	case AT_MODRM:
		row->modrm = true;
		want(row, plus ? 0xf8 : 0xff, (u64)byte);
		want(row, KEY_MEM, byte < 0xc0 ? KEY_MEM : 0);
		*place = AT_END;
		return true;
	default:
		return false;
	}
}

static bool compile_encoding(struct isa_row *row, const char *s)
{
	enum place place = AT_PREFIX;

	while (*s) {
		size_t len = strcspn(s, " ");
		int prefix = prefix_word(s, len);

		if (place == AT_PREFIX && prefix >= 0 && !row->vex && s[len]) /* alone, 66 was an opcode once */
			want(row, KEY_PP, (u64)prefix << 9);
		else if (place == AT_PREFIX && is(s, len, "O16"))
			want(row, KEY_O16, KEY_O16);
		else if (place == AT_PREFIX && is(s, len, "O32"))
			want(row, KEY_O16, 0);
		else if (place == AT_PREFIX && is(s, len, "REX2"))
			row->map = MAP_REX2;
		else if (place == AT_PREFIX && is(s, len, "REX.W0"))
			want(row, KEY_W, 0);
		else if (place == AT_PREFIX && is(s, len, "REX.W1"))
			want(row, KEY_W, KEY_W);
		else if (place == AT_PREFIX && len > 4 &&
			 (!memcmp(s + (*s == 'E'), "VEX.", 4) || !memcmp(s, "XOP.", 4))) {
			if (!compile_vex(row, s, len))
				return false;
		} else if (place >= (row->map == MAP_3DNOW ? AT_OPCODE : AT_MODRM) && is(s, len, "/r")) {
			row->modrm = true;
			if (row->map != MAP_3DNOW)
				place = AT_END;
		} else if (place >= AT_MODRM && len == 2 && s[0] == '/' && s[1] >= '0' && s[1] <= '7') {
			row->modrm = true;
			want(row, 0x38, (u64)(s[1] - '0') << 3);
			place = AT_END;
		} else if (place >= AT_MODRM && is(s, len, "mem")) {
			row->modrm = true;
			want(row, KEY_MEM, KEY_MEM);
		} else if (place >= AT_MODRM && is(s, len, "rm0")) {
			want(row, 7, 0);
		} else if (place >= AT_MODRM && is(s, len, "reg")) {
			row->modrm = true;
			want(row, KEY_MEM, 0);
		} else if (!compile_byte(row, s, len, &place))
			return false;
		s += len;
		s += strspn(s, " ");
	}
	if (place == AT_OPCODE && row->map == 1) { /* 0F was an opcode once */
		row->map = 0;
		row->opcode = 0x0f;
		row->opcode_mask = 0xff;
		place = AT_END;
	}
	want(row, KEY_VEX, row->vex ? KEY_VEX : 0);
	return place >= AT_MODRM;
}

/* ---- operands ---- */

/* Registers that stand for themselves: size as an operand's size; 's' is a segment register. */
static const struct { char name[5]; u8 size, reg; } fixed[] = {
	{ "AL", 'b', RAX }, { "CL", 'b', RCX }, { "AX", 'w', RAX }, { "DX", 'w', RDX }, { "eAX", 'z', RAX },
		{ "rAX", 'v', RAX },
	{ "EAX", 'd', RAX }, { "ECX", 'd', RCX }, { "EDX", 'd', RDX }, { "1", 0, 1 }, { "ES", 's', ES },
		{ "CS", 's', CS },
	{ "SS", 's', SS }, { "DS", 's', DS }, { "FS", 's', FS }, { "GS", 's', GS }, { "ST0", 't', 0 },
		{ "XMM0", 'o', 0 },
};

static u8 kind_of(char letter)
{
	static const struct { char letter; u8 kind; } kinds[] = {
		{ 'E', OPK_E }, { 'G', OPK_G }, { 'M', OPK_M }, { 'R', OPK_R }, { 'I', OPK_I }, { 'J', OPK_J },
			{ 'O', OPK_O }, { 'A', OPK_A },
		{ 'S', OPK_S }, { 'C', OPK_C }, { 'D', OPK_D }, { 'X', OPK_X }, { 'Y', OPK_Y }, { 'Z', OPK_Z },
			{ 'V', OPK_V }, { 'W', OPK_W },
		{ 'U', OPK_U }, { 'P', OPK_P }, { 'Q', OPK_Q }, { 'N', OPK_N }, { 'H', OPK_H }, { 'B', OPK_B },
			{ 'L', OPK_L },
	};

	for (unsigned i = 0; i < ARRAY_LEN(kinds); i++)
		if (kinds[i].letter == letter)
			return kinds[i].kind;
	return OPK_NONE;
}

static bool compile_operand(struct isa_row *row, struct operand *op, const char *s, size_t len)
{
	for (unsigned i = 0; i < ARRAY_LEN(fixed); i++)
		if (*s == *fixed[i].name && is(s, len, fixed[i].name)) {
			*op = (struct operand){ OPK_FIXED, fixed[i].size, fixed[i].reg };
			return true;
		}
	if (is(s, len, "STi")) {
		*op = (struct operand){ .kind = OPK_ST, .size = 't' };
		return true;
	}
	if (*s == 's' && len > 1 && s[1] == 'I') {
		op->kind = OPK_SI;
		s++, len--;
	} else {
		op->kind = kind_of(*s);
	}
	if (op->kind == OPK_NONE || len > 3)
		return false;
	if (len == 3) { /* dq: a double quadword */
		if (s[1] != 'd' || s[2] != 'q')
			return false;
		op->size = 'o';
	} else if (len == 2) {
		if (!strchr("bwdqvzypsxotkT", s[1]))
			return false;
		op->size = (u8)s[1];
	}
	/* What the letter says about ModRM.mod. (MOV to and from CR and DR, kind R, ignores it.) */
	if (op->kind == OPK_M)
		want(row, KEY_MEM, KEY_MEM);
	else if (op->kind == OPK_U || op->kind == OPK_N)
		want(row, KEY_MEM, 0);
	return true;
}

static bool compile_operands(struct isa_row *row, const char *s)
{
	while (*s) {
		size_t len = strcspn(s, ",");

		if (row->operands == ARRAY_LEN(row->operand) || !len ||
			!compile_operand(row, &row->operand[row->operands++], s, len))
			return false;
		s += len;
		if (*s == ',')
			s++;
	}
	return true;
}

static char form_letter(const struct operand *op, bool mem)
{
	switch (op->kind) {
	case OPK_E: case OPK_W: case OPK_Q: return mem ? 'M' : 'R';
	case OPK_M: return 'M';
	case OPK_I: case OPK_SI: return 'I';
	case OPK_FIXED: return op->size ? 'R' : 'I';
	case OPK_G: case OPK_R: case OPK_Z: case OPK_V: case OPK_U: case OPK_P: case OPK_N: return 'R';
	default: return 0;
	}
}

static u8 form_of(const struct isa_row *row, bool mem)
{
	static const char names[][3] = { [FORM_R] = "R", [FORM_M] = "M", [FORM_RR] = "RR", [FORM_RI] = "RI",
		[FORM_RM] = "RM", [FORM_MR] = "MR", [FORM_MI] = "MI" };
	char name[3] = { 0 };

	for (unsigned i = 0; i < row->operands && i < 2; i++)
		name[i] = form_letter(&row->operand[i], mem);
	for (unsigned i = FORM_R; i < ARRAY_LEN(names) && row->operands <= 2; i++)
		if (!strcmp(names[i], name))
			return (u8)i;
	return FORM_OTHER;
}

/* The row is two, of which a model may have either. */
static void choose_lengths(struct isa_row *row, const struct model *model)
{
	if (!has(model, row->insn->wide))
		want(row, KEY_L, 0);
	else if (!row->enabled)
		want(row, KEY_L, KEY_L);
	row->enabled = row->enabled || has(model, row->insn->wide);
}

/* EVEX rows that name no length or 256 need AVX512VL for less than 512; those of 128 alone and those of one
 * element do not. */
static void choose_evex_lengths(struct isa_row *row, const struct model *model)
{
	bool any = !(row->mask & KEY_L2), scalar = strstr(row->insn->encoding, ".LIG") != NULL;

	if (has(model, F_AVX512VL) || scalar)
		return;
	if (any)
		want(row, KEY_L | KEY_L2, KEY_L2);
	else if (row->match & KEY_L)
		row->enabled = false;
}

static bool compile(struct isa_row *row, const struct insn *insn, const struct model *model)
{
	*row = (struct isa_row){ .insn = insn };
	row->enabled = insn_in(insn, model);
	if (!compile_encoding(row, insn->encoding) || !compile_operands(row, insn->operands))
		return false;
	row->form[0] = form_of(row, false);
	row->form[1] = form_of(row, true);
	if (insn->wide)
		choose_lengths(row, model);
	if (row->evex)
		choose_evex_lengths(row, model);
	if (insn->modes)
		want(row, KEY_64, insn->modes == ONLY64 ? KEY_64 : 0);
	return true;
}

/* Is the first operand a new destination, of what the others give? */
static bool has_new_destination(const struct insn *insn) { return insn->form && insn->operands[0] == 'B'; }

/* ROW has one: INNER becomes what remains without it. */
static void compile_inner(struct isa_row *row, struct isa_row *inner)
{
	*inner = *row;
	inner->operands--;
	memmove(&inner->operand[0], &inner->operand[1], inner->operands * sizeof inner->operand[0]);
	inner->form[0] = form_of(inner, false);
	inner->form[1] = form_of(inner, true);
	row->inner = inner;
}

/* ---- the index ---- */

static unsigned slots(const struct isa_row *row)
{
	return row->opcode_mask == 0xff ? 1 : 8;
}

static void add(struct isa *isa, struct isa_row *row)
{
	struct isa_row *(*index)[256] = row->evex ? isa->evex_index : row->vex ? isa->vex_index : isa->index;
	struct isa_row **at = &index[row->map][row->opcode];

	while (*at)
		at = &(*at)->next;
	*at = row;
}

struct isa *isa_new(const struct model *model, const struct insn **which)
{
	struct isa *isa = calloc(1, sizeof *isa);
	struct isa_row *copy;
	size_t room = 0;

	*which = NULL;
	/* A +r row stands in eight lists, and so needs seven copies: they follow the table, and so do inner rows. */
	for (unsigned i = 0; i < insn_count; i++)
		room += (strchr(insn_table[i].encoding, '+') ? 8 : 1) + has_new_destination(&insn_table[i]);
	if (!isa || !(isa->rows = calloc(room, sizeof *isa->rows)))
		goto fail;
	isa->count = insn_count;
	copy = isa->rows + insn_count;
	for (unsigned i = 0; i < insn_count; i++) {
		struct isa_row *row = &isa->rows[i];

		if (!compile(row, &insn_table[i], model)) {
			*which = &insn_table[i];
			goto fail;
		}
		if (has_new_destination(row->insn))
			compile_inner(row, copy++);
		if (!row->enabled)
			continue;
		add(isa, row);
		for (unsigned r = 1; r < slots(row); r++, copy++) {
			*copy = *row;
			copy->next = NULL;
			copy->opcode += r;
			add(isa, copy);
		}
	}
	return isa;
fail:
	isa_free(isa);
	return NULL;
}

void isa_free(struct isa *isa)
{
	if (!isa)
		return;
	free(isa->rows);
	free(isa);
}

/* No processor has both: one was gone when the other came, or they are of two makers. */
static bool insn_apart(const struct insn *a, const struct insn *b)
{
	return (a->maker && b->maker && !(a->maker & b->maker)) ||
	       (a->until && b->since >= a->until && b->since <= F_X64) ||
		(b->until && a->since >= b->until && a->since <= F_X64);
}

bool isa_overlap(const struct isa_row *a, const struct isa_row *b)
{
	u64 both = a->mask & b->mask;

	if (insn_apart(a->insn, b->insn) || a->map != b->map || a->vex != b->vex || a->evex != b->evex ||
		(a->opcode ^ b->opcode) & a->opcode_mask & b->opcode_mask)
		return false;
	return !((a->match ^ b->match) & both);
}
