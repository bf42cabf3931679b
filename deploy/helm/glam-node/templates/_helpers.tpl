{{- define "glam-node.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "glam-node.workerImage" -}}
{{- if .Values.worker.image.repository -}}
{{ .Values.worker.image.repository }}:{{ .Values.worker.image.tag | default .Chart.AppVersion }}
{{- else -}}
{{ include "glam-node.image" . }}
{{- end }}
{{- end }}

{{- define "glam-node.labels" -}}
app.kubernetes.io/name: glam-node
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "glam-node.redis" -}}
{{- if .Values.redis.enabled -}}
{{ .Release.Name }}-redis:6379
{{- else -}}
{{ required "redis.address is needed when redis.enabled is false" .Values.redis.address }}
{{- end }}
{{- end }}

{{- define "glam-node.environment" -}}
- name: GLAM_NODE_SETTINGS
  value: /etc/glam-node/node.toml
- name: GLAM_NODE__STORAGE__ROOT
  value: /var/lib/glam-node
- name: GLAM_NODE__NODE__PORT
  value: {{ .Values.dicomPort | quote }}
- name: GLAM_NODE__CONSOLE__HOST
  value: 0.0.0.0
- name: GLAM_NODE__CONSOLE__PORT
  value: {{ .Values.consolePort | quote }}
- name: GLAM_NODE__BROKER_URL
  {{- if .Values.redis.existingSecret }}
  valueFrom:
    secretKeyRef: {name: {{ .Values.redis.existingSecret }}, key: url}
  {{- else }}
  value: redis://{{ include "glam-node.redis" . }}/0
  {{- end }}
- name: GLAM_NODE__DATABASE_URL
  valueFrom:
    secretKeyRef:
      name: {{ .Values.database.existingSecret | default (printf "%s-database" .Release.Name) }}
      key: {{ .Values.database.key }}
{{- end }}

{{- define "glam-node.mounts" -}}
- {name: settings, mountPath: /etc/glam-node, readOnly: true}
- {name: storage, mountPath: /var/lib/glam-node}
- {name: scratch, mountPath: /tmp}
{{- end }}

{{- define "glam-node.volumes" -}}
- name: settings
  configMap:
    name: {{ .Release.Name }}-settings
- name: storage
  persistentVolumeClaim:
    claimName: {{ .Values.storage.existingClaim | default (printf "%s-storage" .Release.Name) }}
- name: scratch
  emptyDir: {}
{{- end }}

{{- define "glam-node.pod" -}}
automountServiceAccountToken: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "glam-node.container" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}
