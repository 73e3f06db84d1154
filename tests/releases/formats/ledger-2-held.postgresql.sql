SELECT pg_catalog.set_config('search_path', '', false);
CREATE TABLE public.ledger_digests (
    site character varying(64) NOT NULL,
    gateway character varying(64) NOT NULL,
    stream character varying(64) NOT NULL,
    seq bigint NOT NULL,
    digest bytea NOT NULL
);
CREATE TABLE public.ledger_meta (
    key character varying(64) NOT NULL,
    value text NOT NULL
);
CREATE TABLE public.ledger_owners (
    site character varying(64) NOT NULL,
    machine text NOT NULL,
    gateway character varying(64) NOT NULL,
    first_ns bigint NOT NULL,
    changed_ns bigint NOT NULL
);
CREATE TABLE public.ledger_quarantine (
    id bigint NOT NULL,
    at_ns bigint NOT NULL,
    topic text NOT NULL,
    reason text NOT NULL,
    payload bytea NOT NULL,
    digest bytea NOT NULL,
    settled boolean NOT NULL,
    stream character varying(64) DEFAULT ''::character varying NOT NULL
);
CREATE SEQUENCE public.ledger_quarantine_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.ledger_quarantine_id_seq OWNED BY public.ledger_quarantine.id;
CREATE TABLE public.ledger_sites (
    id bigint NOT NULL,
    site character varying(64) NOT NULL,
    gateway character varying(64) NOT NULL,
    config_hash text NOT NULL,
    valid_from_ns bigint NOT NULL,
    body text NOT NULL,
    changed_ns bigint NOT NULL
);
CREATE SEQUENCE public.ledger_sites_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.ledger_sites_id_seq OWNED BY public.ledger_sites.id;
CREATE TABLE public.ledger_streams (
    site character varying(64) NOT NULL,
    gateway character varying(64) NOT NULL,
    stream character varying(64) NOT NULL,
    kind character varying(16) NOT NULL,
    mark bigint NOT NULL,
    beyond text NOT NULL,
    stored bigint NOT NULL,
    quarantined bigint NOT NULL,
    dropped bigint NOT NULL,
    discarded bigint NOT NULL,
    duplicates bigint NOT NULL,
    conflicts bigint NOT NULL,
    seen_ns bigint NOT NULL,
    changed_ns bigint NOT NULL,
    first_ns bigint DEFAULT '0'::bigint NOT NULL,
    covers text DEFAULT '[]'::text NOT NULL,
    held_from bigint DEFAULT '0'::bigint NOT NULL
);
CREATE TABLE public.nhip_schema (
    part character varying(64) NOT NULL,
    version integer NOT NULL
);
ALTER TABLE ONLY public.ledger_quarantine ALTER COLUMN id SET DEFAULT nextval('public.ledger_quarantine_id_seq'::regclass);
ALTER TABLE ONLY public.ledger_sites ALTER COLUMN id SET DEFAULT nextval('public.ledger_sites_id_seq'::regclass);
INSERT INTO public.ledger_digests VALUES ('s', 'g', '00000000000000aa', 9, '\x3132333435363738');
INSERT INTO public.ledger_meta VALUES ('generation', '741a900557f6c4e4');
INSERT INTO public.ledger_owners VALUES ('s', 'm', 'g', 1, 1800000000000000000);
INSERT INTO public.ledger_quarantine VALUES (1, 1, 'nhip/v1/s/g/facts', 'unreadable', '\x6e6f697365', '\xefe2a5c09e6d49d7eb735c9875f77404be5b887bb3f56378038968d4e3ff8198', true, '');
INSERT INTO public.ledger_sites VALUES (1, 's', 'g', 'hash', 1, '{"machines": {}}', 1800000000000000000);
INSERT INTO public.ledger_streams VALUES ('s', 'g', '00000000000000aa', 'facts', 7, '[[9, 9]]', 8, 0, 0, 0, 0, 0, 5, 1800000000000000000, 0, '[]', 0);
INSERT INTO public.nhip_schema VALUES ('ledger', 2);
SELECT pg_catalog.setval('public.ledger_quarantine_id_seq', 1, true);
SELECT pg_catalog.setval('public.ledger_sites_id_seq', 1, true);
ALTER TABLE ONLY public.ledger_digests
    ADD CONSTRAINT ledger_digests_pkey PRIMARY KEY (site, gateway, stream, seq);
ALTER TABLE ONLY public.ledger_meta
    ADD CONSTRAINT ledger_meta_pkey PRIMARY KEY (key);
ALTER TABLE ONLY public.ledger_owners
    ADD CONSTRAINT ledger_owners_pkey PRIMARY KEY (site, machine);
ALTER TABLE ONLY public.ledger_quarantine
    ADD CONSTRAINT ledger_quarantine_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.ledger_sites
    ADD CONSTRAINT ledger_sites_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.ledger_streams
    ADD CONSTRAINT ledger_streams_pkey PRIMARY KEY (site, gateway, stream);
ALTER TABLE ONLY public.nhip_schema
    ADD CONSTRAINT nhip_schema_pkey PRIMARY KEY (part);
CREATE INDEX ix_ledger_streams_changed_ns ON public.ledger_streams USING btree (changed_ns);
CREATE UNIQUE INDEX ledger_quarantine_identity ON public.ledger_quarantine USING btree (topic, digest, settled);
CREATE UNIQUE INDEX ledger_sites_identity ON public.ledger_sites USING btree (site, gateway, config_hash, valid_from_ns);
