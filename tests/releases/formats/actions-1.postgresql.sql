SELECT pg_catalog.set_config('search_path', '', false);
CREATE TABLE public.action_files (
    id character varying(32) NOT NULL,
    action character varying(32) NOT NULL,
    site character varying(64) NOT NULL,
    at_ns bigint NOT NULL,
    who character varying(80) NOT NULL,
    name character varying(200) NOT NULL,
    media_type character varying(40) NOT NULL,
    size integer NOT NULL,
    content bytea NOT NULL
);
CREATE TABLE public.action_notes (
    id bigint NOT NULL,
    action character varying(32) NOT NULL,
    at_ns bigint NOT NULL,
    who character varying(80) NOT NULL,
    kind character varying(16) NOT NULL,
    text text NOT NULL
);
CREATE SEQUENCE public.action_notes_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.action_notes_id_seq OWNED BY public.action_notes.id;
CREATE TABLE public.actions (
    id character varying(32) NOT NULL,
    site character varying(64) NOT NULL,
    stage character varying(16) NOT NULL,
    finding character varying(64) NOT NULL,
    created_ns bigint NOT NULL,
    created_by character varying(80) NOT NULL,
    changed_ns bigint NOT NULL,
    body text NOT NULL
);
CREATE TABLE public.findings (
    id character varying(64) NOT NULL,
    site character varying(64) NOT NULL,
    machine text NOT NULL,
    rule character varying(64) NOT NULL,
    version integer NOT NULL,
    stage character varying(16) NOT NULL,
    held boolean NOT NULL,
    gain_low double precision NOT NULL,
    gain_high double precision NOT NULL,
    night_ns bigint NOT NULL,
    body text NOT NULL
);
CREATE TABLE public.findings_looks (
    site character varying(64) NOT NULL,
    machine text NOT NULL,
    night_ns bigint NOT NULL,
    tests text NOT NULL,
    trust text NOT NULL,
    body text NOT NULL
);
CREATE TABLE public.findings_nights (
    night_ns bigint NOT NULL,
    done_ns bigint NOT NULL,
    machines integer NOT NULL,
    tests integer NOT NULL
);
CREATE SEQUENCE public.findings_nights_night_ns_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.findings_nights_night_ns_seq OWNED BY public.findings_nights.night_ns;
CREATE TABLE public.nhip_schema (
    part character varying(64) NOT NULL,
    version integer NOT NULL
);
ALTER TABLE ONLY public.action_notes ALTER COLUMN id SET DEFAULT nextval('public.action_notes_id_seq'::regclass);
ALTER TABLE ONLY public.findings_nights ALTER COLUMN night_ns SET DEFAULT nextval('public.findings_nights_night_ns_seq'::regclass);
INSERT INTO public.action_files VALUES ('edea73a591309f91', '87cc445f41b86394', 's', 7, 'mai', 'a.pdf', 'application/pdf', 5, '\x255044462d');
INSERT INTO public.action_notes VALUES (1, '87cc445f41b86394', 5, 'minh', 'drafted', '');
INSERT INTO public.action_notes VALUES (2, '87cc445f41b86394', 6, 'mai', 'comment', 'đã đặt hàng');
INSERT INTO public.action_notes VALUES (3, '87cc445f41b86394', 7, 'mai', 'filed', 'a.pdf');
INSERT INTO public.actions VALUES ('87cc445f41b86394', 's', 'registered', '', 5, 'minh', 5, '{"format": 1, "terms": {"what": "Bôi trơn", "owner": "Lan", "method": "", "cause": "", "cost": 5.0, "currency": "VND"}, "plan": {"site": "s", "machines": ["m"], "metric": "oee", "part": "", "before": ["2026-01-01", "2026-01-28"], "work": ["2026-02-01", "2026-02-28"], "after": ["2026-03-01", "2026-03-28"], "settle_days": 3, "controls": ["n"], "mix": true, "expected_min": 70.0, "chosen": null, "formula": "nakajima", "level": 0.95, "version": 1}, "stage": "registered", "finding": "", "registered": [{"plan": {"site": "s", "machines": ["m"], "metric": "oee", "part": "", "before": ["2026-01-01", "2026-01-28"], "work": ["2026-02-01", "2026-02-28"], "after": ["2026-03-01", "2026-03-28"], "settle_days": 3, "controls": ["n"], "mix": true, "expected_min": 70.0, "chosen": null, "formula": "nakajima", "level": 0.95, "version": 1}, "at_ns": 5, "by": "minh", "digest": "b910f2d151463cf010763ec696593bbb0f9de1515efff0b0de66b442b88f235e", "told": {"effect": 0.02, "minutes": 90.0, "level": 0.6, "expected": 0.03, "days": [24, 24], "enough": null, "history": 48, "controls": 1}}], "verdict": null, "judged_ns": 0, "first": null, "later": [], "progress": null, "note": "", "told": {"effect": 0.02, "minutes": 90.0, "level": 0.6, "expected": 0.03, "days": [24, 24], "enough": null, "history": 48, "controls": 1}}');
INSERT INTO public.nhip_schema VALUES ('findings', 1);
INSERT INTO public.nhip_schema VALUES ('actions', 1);
SELECT pg_catalog.setval('public.action_notes_id_seq', 3, true);
SELECT pg_catalog.setval('public.findings_nights_night_ns_seq', 1, false);
ALTER TABLE ONLY public.action_files
    ADD CONSTRAINT action_files_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.action_notes
    ADD CONSTRAINT action_notes_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.actions
    ADD CONSTRAINT actions_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.findings_looks
    ADD CONSTRAINT findings_looks_pkey PRIMARY KEY (site, machine);
ALTER TABLE ONLY public.findings_nights
    ADD CONSTRAINT findings_nights_pkey PRIMARY KEY (night_ns);
ALTER TABLE ONLY public.findings
    ADD CONSTRAINT findings_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.nhip_schema
    ADD CONSTRAINT nhip_schema_pkey PRIMARY KEY (part);
CREATE INDEX ix_action_files_action ON public.action_files USING btree (action);
CREATE INDEX ix_action_files_site ON public.action_files USING btree (site);
CREATE INDEX ix_action_notes_action ON public.action_notes USING btree (action);
CREATE INDEX ix_actions_finding ON public.actions USING btree (finding);
CREATE INDEX ix_actions_site ON public.actions USING btree (site);
CREATE INDEX ix_actions_stage ON public.actions USING btree (stage);
CREATE INDEX ix_findings_looks_night_ns ON public.findings_looks USING btree (night_ns);
CREATE INDEX ix_findings_site ON public.findings USING btree (site);
CREATE INDEX ix_findings_stage ON public.findings USING btree (stage);
